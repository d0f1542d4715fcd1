# Two images from one file:
#
#   docker build --target bot    -t steward-bot .       web server, syncs and timer; a Docker Space runs it as it is
#   docker build --target worker -t steward-worker .    an evaluation worker
#
# Both run as user 1000 and store permanent data in /data. The worker needs no CUDA base image: torch's wheels carry the
# CUDA runtime, and the driver comes from the host (NVIDIA's container toolkit).
ARG BASE=debian:trixie-slim

FROM ${BASE} AS python
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* \
 && useradd --uid 1000 --create-home steward \
 && install -d -o 1000 -g 1000 -m 700 /data
ENV PATH=/opt/steward/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    HF_HOME=/data/hf \
    STEWARD_BOARD=/data/board.yaml \
    STEWARD_LOG_JSON=true

FROM scratch AS source
COPY pyproject.toml README.md LICENSE ./
COPY leaderboard leaderboard
COPY redis_state redis_state
COPY hub hub
COPY bot bot
COPY workers workers
COPY steward steward

# Dependencies first, in layers that change only with pyproject.toml; then the source.
FROM python AS build
# For a package index of your own, or a proxy with its own certificate authority.
ARG PIP_INDEX_URL=
ARG PIP_CERT=
ENV PIP_INDEX_URL=$PIP_INDEX_URL PIP_CERT=$PIP_CERT PIP_NO_CACHE_DIR=1
RUN apt-get update && apt-get install -y --no-install-recommends binutils python3-venv
RUN python3 -m venv /opt/steward
WORKDIR /src
COPY pyproject.toml ./
RUN python3 -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
      > /requirements.txt \
 && pip install --no-compile --only-binary :all: -r /requirements.txt
# `extras NAME…` prints the requirements of these extras of pyproject.toml.
RUN printf '%s\n' '#!/usr/bin/env python3' 'import sys, tomllib' \
      'extras = tomllib.load(open("/src/pyproject.toml", "rb"))["project"]["optional-dependencies"]' \
      'print(*(one for name in sys.argv[1:] for one in extras[name]), sep="\n")' > /usr/local/bin/extras \
 && chmod +x /usr/local/bin/extras

FROM build AS build-worker
# Further packages, for example for requests in 8bit, 4bit and GPTQ: `--build-arg ALSO="bitsandbytes gptqmodel"`.
ARG ALSO=
# Some of the harness's dependencies have no wheels; none of them needs a compiler.
RUN extras worker > /extras.txt && pip install -r /extras.txt $ALSO
# Packages of nltk's data, which children cannot download: `--build-arg NLTK=punkt_tab` for open-llm-v2. Its downloader
# ends with status 0 also if it fails.
ARG NLTK=
RUN [ -z "$NLTK" ] || env ${PIP_CERT:+SSL_CERT_FILE=$PIP_CERT} python3 -c "import nltk, sys; \
      sys.exit(not all(nltk.download(name, sys.prefix + '/nltk_data') for name in sys.argv[1:]))" $NLTK
COPY --from=source / /src/
RUN pip install --no-deps . && pip uninstall --yes pip && python3 -m compileall -q /opt/steward

FROM build AS build-bot
# pyarrow makes the image half as large again; `--build-arg EXTRAS=` leaves it out, for a board without a contents repo.
ARG EXTRAS=contents
RUN extras $EXTRAS > /extras.txt && pip install --no-compile --only-binary :all: -r /extras.txt
COPY --from=source / /src/
# Compile everything except transformers' models (54 MB of bytecode), of which the bot loads hardly any. Strip the debug
# symbols from uvloop's wheel. Leave out parts of libraries that the bot never loads: tests, pyarrow's Flight and S3, AVIF
# images.
RUN pip install --no-compile --no-deps . && pip uninstall --yes pip \
 && cd /opt/steward/lib/python3*/site-packages \
 && rm -rf */tests numpy/*/tests numpy/f2py pyarrow/include pyarrow/*flight* pyarrow/libarrow_s3* pyarrow/_s3fs* \
      PIL/_avif* pillow.libs/libavif* \
 && strip --strip-debug uvloop/*.so \
 && python3 -m compileall -q -x transformers/models /opt/steward

FROM python AS worker
# A volume that is mounted here gets its owner from this folder.
RUN install -d -o 1000 -g 1000 -m 700 /data/worker
COPY --from=build-worker /opt/steward /opt/steward
ENV STEWARD_WORK_DIR=/data/worker \
    NLTK_DATA=/data/worker/nltk \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 1000
WORKDIR /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["steward"]
CMD ["work"]

# A Space builds the last stage.
FROM python AS bot
# For `steward up`, which starts its own queue server if REDIS_URL names none.
RUN apt-get update && apt-get install -y --no-install-recommends valkey-server \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
COPY --from=build-bot /opt/steward /opt/steward
# The image includes a board file beside this one, and suite files in `suites`, if there are any: a Space has no other
# place for them.
COPY README.md board.yam[l] suite[s]/*.yaml /opt/board/
ENV STEWARD_HOST=0.0.0.0 \
    STEWARD_PORT=7860 \
    STEWARD_DATA=/data/steward \
    STEWARD_MIRRORS=/data/steward/mirrors
USER 1000
WORKDIR /data
EXPOSE 7860
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s CMD ["python3", "-c", \
  "import os, urllib.request as u; u.urlopen(f\"http://127.0.0.1:{os.environ['STEWARD_PORT']}/healthz\", timeout=4)"]
ENTRYPOINT ["steward"]
CMD ["up", "--no-worker"]
