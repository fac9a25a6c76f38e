#!/usr/bin/env bash
# Builds the wheel of a deployment into dist/. Its version carries the commit, and what differs from it: 0.1.0+g1a2b3c4d5e6f,
# or 0.1.0+g1a2b3c4d5e6f.d7a8b9c0d. The same files give the same version and the same wheel.
set -euo pipefail
cd "$(dirname "$0")/.."
parts=(jobs transforms expectations conf pyproject.toml)
commit=g$(git rev-parse HEAD | cut -c 1-12)
if [[ -n $(git status --porcelain -- "${parts[@]}") ]]; then
    commit+=.d$({ git diff HEAD -- "${parts[@]}"; git ls-files -z --others --exclude-standard -- "${parts[@]}" | xargs -0r cat; } | sha1sum | cut -c 1-8)
fi
rm -f dist/classwaves_analytics-*.whl
PATH=$PWD/.venv/bin:$PATH CLASSWAVES_COMMIT=$commit python -m build --wheel --no-isolation --outdir dist .
