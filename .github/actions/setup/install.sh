#!/usr/bin/env bash
# Fetches the archive of VERSION for this machine from URL, checks SHA256, and puts the program on the job's PATH.

set -euo pipefail
umask 022
if ! [[ $VERSION =~ ^[0-9A-Za-z.+-]+$ && $SHA256 =~ ^[0-9a-f]{64}$ ]]; then
    printf '::error::version or sha256 is none\n'
    exit 1
fi

case $(uname -s)-$(uname -m) in
Linux-x86_64) target=x86_64-unknown-linux-musl ;;
Linux-aarch64) target=aarch64-unknown-linux-musl ;;
Darwin-arm64) target=aarch64-apple-darwin ;;
Darwin-x86_64) target=x86_64-apple-darwin ;;
*)
    printf '::error::there is no vault for %s\n' "$(uname -sm)"
    exit 1
    ;;
esac
name=procvault-v$VERSION-$target
folder=$RUNNER_TEMP/vault-$VERSION
mkdir -p "$folder"
case $URL in
*://*) curl --proto '=https' --tlsv1.2 -fsSL --retry 3 -o "$folder/$name.tar.gz" "$URL/$name.tar.gz" ;;
*) cp "$URL/$name.tar.gz" "$folder/" ;;
esac

sum=$(sha256sum "$folder/$name.tar.gz" 2>/dev/null || shasum -a 256 "$folder/$name.tar.gz")
if [ "${sum%% *}" != "$SHA256" ]; then
    printf '::error::%s.tar.gz is not the file that SHA256 names\n' "$name"
    exit 1
fi
tar -xzf "$folder/$name.tar.gz" -C "$folder"
printf '%s\n' "$folder/$name" >>"$GITHUB_PATH"
"$folder/$name/vault" version
