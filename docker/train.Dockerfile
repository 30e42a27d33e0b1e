# Training, `asmlp train` (docs/guide/deploy.md), on the CPU:
#   docker build -f docker/train.Dockerfile -t asmlp-train .
#   docker run --rm --shm-size 1g -v "$PWD:/work" asmlp-train train photos/ --output runs/photos
FROM debian:bookworm AS build
WORKDIR /src
COPY scripts/install_deps.sh scripts/
RUN scripts/install_deps.sh && rm -rf /var/lib/apt/lists/*
COPY . .
RUN cmake --preset release -DCMAKE_INSTALL_PREFIX=/usr -DASMLP_TESTS=OFF -DASMLP_PYTHON=OFF \
    && cmake --build build --parallel \
    && cd build && cpack -G DEB -B packages

FROM debian:bookworm-slim
# OpenBLAS by name: LibTorch takes any BLAS, and the reference one is many times slower.
RUN --mount=type=bind,from=build,source=/src/build/packages,target=/packages \
    apt-get update \
    && apt-get install -y --no-install-recommends libopenblas0-pthread fonts-dejavu-core \
       /packages/libasmlp0*.deb /packages/asmlp_*.deb /packages/asmlp-torch_*.deb \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /work
ENTRYPOINT ["asmlp"]
