# One image for the four daemons and the client; compose.yaml picks the command.
# docs/OPERATIONS.md says how to run it, scripts/check compose runs it.
FROM swift:6.3-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends \
    libprotobuf-c-dev protobuf-c-compiler libssl-dev libopenblas-dev libsqlite3-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY Package.swift ./
COPY Sources Sources
COPY Benchmarks Benchmarks
COPY Tests Tests
RUN swift build -c release --static-swift-stdlib \
    && mkdir -p /out && for program in qat-client qat-gateway qat-quantd qat-traind qat-evald; do \
    cp "$(swift build -c release --static-swift-stdlib --show-bin-path)/$program" /out/; done \
    && strip /out/*

FROM debian:bookworm-slim
# python3, for an eval worker that may run what models write: docs/OPERATIONS.md, Code execution.
ARG PYTHON=
RUN apt-get update && apt-get install -y --no-install-recommends \
    libprotobuf-c1 libssl3 libopenblas0-pthread libsqlite3-0 ${PYTHON} \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 qat && useradd --uid 10001 --gid 10001 --home-dir /state qat \
    && install --directory --owner 10001 --group 10001 /state
COPY --from=build /out/ /usr/bin/
USER 10001:10001
VOLUME /state
ENV QAT_STATE=/state QAT_LOG_FORMAT=json
LABEL org.opencontainers.image.title="qat" \
    org.opencontainers.image.description="FP4 quantization-aware training as a service" \
    org.opencontainers.image.licenses="Apache-2.0"
CMD ["qat-client", "--help"]
