# Two stages: build with everything, run with the production dependencies alone.
FROM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json tsconfig.json ./
COPY scripts scripts
COPY src src
COPY cli cli
COPY migrations migrations
RUN npm ci && npm prune --omit=dev --ignore-scripts

FROM node:24-bookworm-slim
# glibc gives freed buffers back to the system: see "Slow clients" in docs/performance.md.
ENV NODE_ENV=production \
    MALLOC_MMAP_THRESHOLD_=131072 \
    MALLOC_TRIM_THRESHOLD_=131072 \
    ARTIFACT_STORE_HOST=0.0.0.0 \
    ARTIFACT_STORE_DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# Served at /docs/errors.
COPY docs/errors.md docs/
RUN install -d -o node -g node -m 0700 /data
USER node
VOLUME /data
EXPOSE 8420
HEALTHCHECK --interval=30s --timeout=5s CMD ["node", "-e", "fetch('http://127.0.0.1:8420/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/cli/bin.js"]
CMD ["serve"]
