# Kort alone in an image: no shell, no packages, no root.
#
#   docker build -t kort .
#   docker run --rm -p 8080:8080 kort sandbox --addr 0.0.0.0:8080
#
# `serve`, the default, needs its settings (kort serve --help) and a volume at /data.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN make build && install -d -m 0700 /image/data /image/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/bin/kort /kort
# 65532 is what images without users call "nonroot". Where it writes has to belong to it.
COPY --from=build --chown=65532:65532 /image /
USER 65532:65532
ENV KORT_ADDR=0.0.0.0:8080 KORT_DATA_DIR=/data
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=2s --timeout=5s --start-period=30s CMD ["/kort", "health"]
ENTRYPOINT ["/kort"]
CMD ["serve"]
