#!/usr/bin/env bash
# Sees to a Chromium for tests/browser: installs Debian's where root may, else says how. Without one those
# tests are skipped.
set -euo pipefail

for name in chromium chromium-browser google-chrome google-chrome-stable chrome; do
    if command -v "$name" >/dev/null; then
        exit 0
    fi
done
if [[ $(id -u) -ne 0 ]] || ! command -v apt-get >/dev/null; then
    echo "The browser tests need Chromium: apt install chromium fonts-dejavu-core" >&2
    exit 1
fi
echo "Installing Chromium for the browser tests (once)" >&2
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core >/dev/null
