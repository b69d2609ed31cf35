# syntax=docker/dockerfile:1
# One image for ingest and the agent; docker-compose.yml and deploy/ say which of the two a container runs.
#   docker build -t lastgood:0.1.0 .                            what runs in production
#   docker build -t lastgood-demo:0.1.0 --target demo .         the same with a simulated fleet and OTA server
# Nothing in it depends on when or where it is built: exact base images, npm ci on the lock file, no dates.

FROM node:24.11.1-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY runtime runtime
COPY ingest ingest
COPY agent agent
COPY test/simulation test/simulation
# No tests are built. The Lua scripts and the page go beside the code that loads them.
RUN node_modules/.bin/tsc -p . \
  && find agent ingest runtime -name '*.lua' -exec cp --parents '{}' dist/ ';' \
  && find agent/admin/page -name '*.js' -exec cp --parents '{}' dist/ ';' \
  && cp agent/admin/page/*.html agent/admin/page/*.css dist/agent/admin/page/ \
  && mkdir -p simulation/test && mv dist/test/simulation simulation/test/ && rm -rf dist/test dist/.tsbuildinfo

# The packages that run, without those that build: no compiler gets into the image.
FROM node:24.11.1-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --no-audit --no-fund

FROM node:24.11.1-bookworm-slim AS lastgood
LABEL org.opencontainers.image.title="Lastgood" \
  org.opencontainers.image.description="Watches over-the-air updates and rolls a bad release back" \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.base.name="docker.io/library/node:24.11.1-bookworm-slim"
ENV NODE_ENV=production
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE lastgood.example.yaml ./
COPY docker/healthcheck.mjs docker/healthcheck.mjs
COPY docs/runbooks docs/runbooks
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8080 8081 8082
ENTRYPOINT ["node"]
CMD ["dist/agent/main.js", "--config", "/etc/lastgood/lastgood.yaml"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "docker/healthcheck.mjs", "http://127.0.0.1:8082/readyz"]

FROM lastgood AS demo
COPY --from=build /app/simulation/test dist/test

# What a build without --target makes.
FROM lastgood
