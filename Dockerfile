# syntax=docker/dockerfile:1
# One image for ingest and the agent; docker-compose.yml says which of the two a container runs.

FROM node:24.11.1-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY runtime runtime
COPY ingest ingest
COPY agent agent
# Only what runs is built: no tests. The Lua scripts and the page go beside the code that loads them.
RUN node_modules/.bin/tsc -p . \
  && find agent ingest runtime -name '*.lua' -exec cp --parents '{}' dist/ ';' \
  && find agent/admin/page -name '*.js' -exec cp --parents '{}' dist/ ';' \
  && cp agent/admin/page/*.html agent/admin/page/*.css dist/agent/admin/page/ \
  && npm prune --omit=dev --no-audit --no-fund

FROM node:24.11.1-bookworm-slim
LABEL org.opencontainers.image.title="Lastgood" \
  org.opencontainers.image.description="Watches over-the-air updates and rolls a bad release back" \
  org.opencontainers.image.licenses="Apache-2.0"
ENV NODE_ENV=production
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY package.json LICENSE lastgood.example.yaml ./
COPY docker/healthcheck.mjs docker/healthcheck.mjs
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8080 8081 8082
ENTRYPOINT ["node"]
CMD ["dist/agent/main.js", "--config", "/etc/lastgood/lastgood.yaml"]
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
  CMD ["node", "docker/healthcheck.mjs", "http://127.0.0.1:8082/readyz"]
