{{/*
The specification of each component, in one format: kind, image, args, env, ports, user, probes,
mounts and resources. _workload.tpl renders a workload from it.
mounts: path -> one of secret (a Secret of the component or of the user), tls (a Secret), scratch (an
emptyDir), config (a ConfigMap) and data (a volume claim with size and storage class). "only" lists
the keys of a Secret that are mounted; without it all are.
*/}}

{{- define "trading.component" -}}
{{- $topology := include "trading.topology" .root | fromYaml }}
{{- if hasKey $topology.services .component }}
{{- include "trading.component.service" (merge (dict "service" (get $topology.services .component)) .) }}
{{- else }}
{{- include (printf "trading.component.%s" .component) . }}
{{- end }}
{{- end }}

{{/* The host names that a service accepts in requests. The program itself adds NAME.NAMESPACE.svc and IP addresses. */}}
{{- define "trading.hosts" -}}
{{- $name := printf "%s-%s" (include "trading.fullname" .root) .component }}
{{- $hosts := list $name (printf "%s.%s" $name .root.Release.Namespace) }}
{{- if and .root.Values.ingress.enabled (eq .component "risk-monitor") }}
{{- $hosts = append $hosts (printf "risk.%s" .root.Values.ingress.host) }}
{{- end }}
{{- concat $hosts .root.Values.allowedHosts | join "," }}
{{- end }}

{{- define "trading.component.service" -}}
{{- $values := .root.Values }}
{{- $fullname := include "trading.fullname" .root }}
{{- $own := get $values.services .component }}
{{- $topology := include "trading.topology" .root | fromYaml }}
kind: Deployment
image: {{ include "trading.image" .root }}
pullPolicy: {{ $values.image.pullPolicy }}
replicas: {{ $own.replicas }}
{{- if eq .component "trading-engine" }}
# A new pod continues the journal of the pod that it replaces, so the old one stops first.
strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}
{{- else }}
# Two pods of one service would wait for each other's lock on the journal.
strategy: {type: Recreate}
{{- end }}
args: [serve, {{ .component }}]
user: 10001
grace: 20
ports:
  http: {{ .service.port }}
env:
  BIND_HOST: "0.0.0.0"
  ALLOWED_HOSTS: {{ include "trading.hosts" . | quote }}
  DATA_DIR: /tmp/data
  JOURNAL: postgres
  JOURNAL_RETENTION: {{ $values.journals.retention | quote }}
  LOG_LEVEL: {{ $values.logLevel }}
  SIM_SPEED: {{ $values.simulation.speed | quote }}
  SIM_SEED: {{ $values.simulation.seed | quote }}
  ENABLE_CHAOS_SCENARIOS: {{ $values.chaos.enabled | quote }}
  ENABLE_AUDIT_LOGGING: {{ $values.audit.enabled | quote }}
  {{- range $callee := .service.calls }}
  {{ $callee | upper | replace "-" "_" }}_URL: http://{{ $fullname }}-{{ $callee }}:{{ (get $topology.services $callee).port }}
  {{- end }}
  {{- if $values.otelCollector.enabled }}
  OTEL_EXPORTER_OTLP_ENDPOINT: http://{{ $fullname }}-otel-collector:4318
  {{- end }}
  LINK_TOKEN_FILE: /run/secrets/trading/link-token
  LINK_PEERS_FILE: /run/secrets/trading/link-peers
  DATABASE_URL_FILE: /run/secrets/trading/database-url
  READ_TOKEN_SHA256_FILE: /run/secrets/trading/read-token-sha256
  {{- if $values.chaos.enabled }}
  {{- if eq .component "test-coordinator" }}
  # The coordinator sends the token to the other services, which only have its digest.
  CHAOS_TOKEN_FILE: /run/secrets/trading/chaos-token
  {{- if $values.signing.existingSecret }}
  SIGNING_KEY_FILE: /run/secrets/signing/signing-key
  {{- end }}
  {{- else }}
  CHAOS_TOKEN_SHA256_FILE: /run/secrets/trading/chaos-token-sha256
  {{- end }}
  {{- end }}
  {{- if has .component (get $topology.stores "redis").callers }}
  REDIS_URL_FILE: /run/secrets/trading/redis-url
  {{- end }}
  {{- if eq .component "risk-monitor" }}
  RISK_TOKEN_FILE: /run/secrets/trading/risk-token
  {{- end }}
  {{- if eq .component "exchange" }}
  API_KEY_FILE: /run/secrets/trading/api-key
  API_SECRET_FILE: /run/secrets/trading/api-secret
  {{- end }}
  {{- if eq .component "market-data" }}
  ENABLE_REAL_MARKET_DATA: {{ $values.marketData.live | quote }}
  {{- if and $values.marketData.live $values.marketData.existingSecret }}
  COINGECKO_API_KEY_FILE: /run/secrets/upstream/coingecko-api-key
  COINMARKETCAP_API_KEY_FILE: /run/secrets/upstream/coinmarketcap-api-key
  {{- end }}
  {{- end }}
  {{- range $name, $value := $own.env }}
  {{ $name }}: {{ $value | quote }}
  {{- end }}
probes:
  # Readiness does not include the links to other services, which /ready reports: services have to be
  # reachable before they can link to each other.
  startup: {httpGet: {path: /health, port: http}, periodSeconds: 2, failureThreshold: 60, timeoutSeconds: 3}
  readiness: {httpGet: {path: /health, port: http}, periodSeconds: 5, failureThreshold: 3, timeoutSeconds: 3}
  liveness: {httpGet: {path: /health, port: http}, periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5}
mounts:
  /run/secrets/trading: {secret: {{ include "trading.secret" (dict "root" .root "component" .component) }}}
  /tmp: {scratch: true}
  {{- if $values.tls.required }}
  /run/secrets/tls: {tls: {{ $values.tls.existingSecret }}, only: [ca.crt]}
  {{- end }}
  {{- if and (eq .component "market-data") $values.marketData.live $values.marketData.existingSecret }}
  /run/secrets/upstream: {secret: {{ $values.marketData.existingSecret }}}
  {{- end }}
  {{- if and (eq .component "test-coordinator") $values.chaos.enabled $values.signing.existingSecret }}
  /run/secrets/signing: {secret: {{ $values.signing.existingSecret }}, only: [signing-key]}
  {{- end }}
resources: {{ toJson $own.resources }}
{{- end }}

{{- define "trading.component.database" -}}
{{- $values := .root.Values }}
kind: Job
image: {{ include "trading.image" .root }}
pullPolicy: {{ $values.image.pullPolicy }}
args: [database, setup, --passwords, /run/secrets/trading]
user: 10001
ports: {}
env:
  ADMIN_DATABASE_URL_FILE: /run/secrets/trading/admin-url
probes: {}
mounts:
  /run/secrets/trading: {secret: {{ include "trading.secret" (dict "root" .root "component" "database") }}}
  /tmp: {scratch: true}
  {{- if $values.tls.required }}
  /run/secrets/tls: {tls: {{ $values.tls.existingSecret }}, only: [ca.crt]}
  {{- end }}
resources: {{ toJson $values.database.resources }}
{{- end }}

{{- define "trading.component.postgres" -}}
{{- $own := .root.Values.postgres }}
kind: StatefulSet
image: {{ include "trading.thirdPartyImage" (dict "root" .root "image" $own.image) }}
# The image's entrypoint prepares the data directory, then runs this command.
args:
  - postgres
  - -c
  - max_connections=100
  - -c
  - password_encryption=scram-sha-256
  {{- if .root.Values.tls.required }}
  - -c
  - ssl=on
  - -c
  - ssl_cert_file=/run/secrets/tls/tls.crt
  - -c
  - ssl_key_file=/run/secrets/tls/tls.key
  - -c
  - hba_file=/etc/postgresql/pg_hba.conf
  {{- end }}
user: 999
grace: 60
ports:
  postgres: 5432
env:
  POSTGRES_DB: trading
  POSTGRES_PASSWORD_FILE: /run/secrets/trading/password
  POSTGRES_INITDB_ARGS: --auth-host=scram-sha-256 --encoding=UTF8
  PGDATA: /var/lib/postgresql/data/pgdata
probes:
  startup: {exec: {command: [pg_isready, -h, 127.0.0.1, -U, postgres, -d, trading]}, periodSeconds: 2, failureThreshold: 60, timeoutSeconds: 3}
  readiness: {exec: {command: [pg_isready, -h, 127.0.0.1, -U, postgres, -d, trading]}, periodSeconds: 5, timeoutSeconds: 3}
  liveness: {exec: {command: [pg_isready, -h, 127.0.0.1, -U, postgres, -d, trading]}, periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5}
mounts:
  /run/secrets/trading: {secret: {{ include "trading.secret" (dict "root" .root "component" "postgres") }}}
  /var/lib/postgresql/data: {data: {{ toJson $own.storage }}}
  /var/run/postgresql: {scratch: true}
  /tmp: {scratch: true}
  {{- if .root.Values.tls.required }}
  /run/secrets/tls: {tls: {{ .root.Values.tls.existingSecret }}}
  /etc/postgresql: {config: postgres}
  {{- end }}
resources: {{ toJson $own.resources }}
{{- end }}

{{- define "trading.component.redis" -}}
{{- $own := .root.Values.redis }}
kind: Deployment
image: {{ include "trading.thirdPartyImage" (dict "root" .root "image" $own.image) }}
strategy: {type: Recreate}
# The configuration is in the Secret, because it contains the password.
args:
  - redis-server
  - /run/secrets/trading/redis.conf
  - --save
  - ""
  - --appendonly
  - "no"
  - --dir
  - /tmp
  - --protected-mode
  - "no"
  - --maxmemory
  - 64mb
  - --maxmemory-policy
  - noeviction
  {{- if .root.Values.tls.required }}
  - --port
  - "0"
  - --tls-port
  - "6379"
  - --tls-cert-file
  - /run/secrets/tls/tls.crt
  - --tls-key-file
  - /run/secrets/tls/tls.key
  - --tls-ca-cert-file
  - /run/secrets/tls/ca.crt
  - --tls-auth-clients
  - "no"
  {{- end }}
user: 999
grace: 10
ports:
  redis: 6379
env: {}
probes:
  # A TCP connection is enough: commands need the password.
  startup: {tcpSocket: {port: redis}, periodSeconds: 1, failureThreshold: 60, timeoutSeconds: 3}
  readiness: {tcpSocket: {port: redis}, periodSeconds: 5, timeoutSeconds: 3}
  liveness: {tcpSocket: {port: redis}, periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5}
mounts:
  /run/secrets/trading: {secret: {{ include "trading.secret" (dict "root" .root "component" "redis") }}}
  /tmp: {scratch: true}
  {{- if .root.Values.tls.required }}
  /run/secrets/tls: {tls: {{ .root.Values.tls.existingSecret }}}
  {{- end }}
resources: {{ toJson $own.resources }}
{{- end }}

{{- define "trading.component.prometheus" -}}
{{- $own := .root.Values.prometheus }}
kind: StatefulSet
image: {{ include "trading.thirdPartyImage" (dict "root" .root "image" $own.image) }}
args:
  - --config.file=/etc/prometheus/prometheus.yml
  - --storage.tsdb.path=/prometheus
  - --storage.tsdb.retention.time={{ $own.retention }}
user: 65534
grace: 60
ports:
  http: 9090
env: {}
probes:
  startup: {httpGet: {path: /-/ready, port: http}, periodSeconds: 2, failureThreshold: 60, timeoutSeconds: 3}
  readiness: {httpGet: {path: /-/ready, port: http}, periodSeconds: 5, timeoutSeconds: 3}
  liveness: {httpGet: {path: /-/healthy, port: http}, periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5}
mounts:
  /etc/prometheus: {config: prometheus}
  /prometheus: {data: {{ toJson $own.storage }}}
  /tmp: {scratch: true}
resources: {{ toJson $own.resources }}
{{- end }}

{{- define "trading.component.grafana" -}}
{{- $own := .root.Values.grafana }}
kind: Deployment
image: {{ include "trading.thirdPartyImage" (dict "root" .root "image" $own.image) }}
user: 472
grace: 20
ports:
  http: 3000
env:
  GF_SECURITY_ADMIN_PASSWORD__FILE: /run/secrets/trading/admin-password
  GF_PATHS_PROVISIONING: /etc/grafana/provisioning
  GF_PATHS_DATA: /var/lib/grafana
  GF_PATHS_LOGS: /var/lib/grafana/log
  GF_ANALYTICS_REPORTING_ENABLED: "false"
  GF_ANALYTICS_CHECK_FOR_UPDATES: "false"
  GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES: "false"
  GF_NEWS_NEWS_FEED_ENABLED: "false"
  GF_USERS_ALLOW_SIGN_UP: "false"
  GF_PLUGINS_PREINSTALL_DISABLED: "true"
  GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH: /etc/grafana/dashboards/executive-overview.json
probes:
  startup: {httpGet: {path: /api/health, port: http}, periodSeconds: 2, failureThreshold: 60, timeoutSeconds: 3}
  readiness: {httpGet: {path: /api/health, port: http}, periodSeconds: 5, timeoutSeconds: 3}
  liveness: {httpGet: {path: /api/health, port: http}, periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5}
mounts:
  /run/secrets/trading: {secret: {{ include "trading.secret" (dict "root" .root "component" "grafana") }}}
  /etc/grafana/provisioning/datasources: {config: grafana-datasources}
  /etc/grafana/provisioning/dashboards: {config: grafana-provisioning}
  /etc/grafana/dashboards: {config: grafana-dashboards}
  /var/lib/grafana: {scratch: true}
  /tmp: {scratch: true}
resources: {{ toJson $own.resources }}
{{- end }}

{{- define "trading.component.otel-collector" -}}
{{- $own := .root.Values.otelCollector }}
kind: Deployment
image: {{ include "trading.thirdPartyImage" (dict "root" .root "image" $own.image) }}
args: [--config=/etc/otelcol/config.yaml]
user: 10001
grace: 20
ports:
  otlp-http: 4318
  metrics: 8889
  health: 13133
env: {}
probes:
  startup: {httpGet: {path: /, port: health}, periodSeconds: 2, failureThreshold: 60, timeoutSeconds: 3}
  readiness: {httpGet: {path: /, port: health}, periodSeconds: 5, timeoutSeconds: 3}
  liveness: {httpGet: {path: /, port: health}, periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5}
mounts:
  /etc/otelcol: {config: otel-collector}
  /tmp: {scratch: true}
resources: {{ toJson $own.resources }}
{{- end }}

{{- define "trading.component.jaeger" -}}
{{- $own := .root.Values.jaeger }}
kind: Deployment
image: {{ include "trading.thirdPartyImage" (dict "root" .root "image" $own.image) }}
# The default configuration: it receives OTLP, keeps traces in memory, and serves its UI on 16686.
user: 10001
grace: 20
ports:
  http: 16686
  otlp-grpc: 4317
env: {}
probes:
  startup: {httpGet: {path: /, port: http}, periodSeconds: 2, failureThreshold: 60, timeoutSeconds: 3}
  readiness: {httpGet: {path: /, port: http}, periodSeconds: 5, timeoutSeconds: 3}
  liveness: {httpGet: {path: /, port: http}, periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5}
mounts:
  /tmp: {scratch: true}
resources: {{ toJson $own.resources }}
{{- end }}

{{- define "trading.component.operator" -}}
{{- $values := .root.Values }}
{{- $topology := include "trading.topology" .root | fromYaml }}
kind: Deployment
image: {{ include "trading.image" .root }}
pullPolicy: {{ $values.image.pullPolicy }}
# Two operators would interfere with each other's policies.
strategy: {type: Recreate}
command: [python3, -m, trading_operator]
apiToken: true
user: 10001
grace: 20
ports:
  metrics: 8088
  health: 8087
env:
  NAMESPACE: {{ .root.Release.Namespace }}
  COORDINATOR_URL: http://{{ include "trading.fullname" .root }}-test-coordinator:{{ (get $topology.services "test-coordinator").port }}
  CHAOS_TOKEN_FILE: /run/secrets/trading/chaos-token
  # Limit the memory arenas that malloc keeps for threads.
  MALLOC_ARENA_MAX: "2"
  MALLOC_TRIM_THRESHOLD_: "131072"
  RELEASE_LABELS: app.kubernetes.io/name={{ include "trading.name" .root }},app.kubernetes.io/instance={{ .root.Release.Name }}
probes:
  startup: {httpGet: {path: /healthz, port: health}, periodSeconds: 2, failureThreshold: 30, timeoutSeconds: 3}
  readiness: {httpGet: {path: /healthz, port: health}, periodSeconds: 5, failureThreshold: 3, timeoutSeconds: 3}
  liveness: {httpGet: {path: /healthz, port: health}, periodSeconds: 10, failureThreshold: 6, timeoutSeconds: 5}
mounts:
  /run/secrets/trading: {secret: {{ include "trading.secret" (dict "root" .root "component" "operator") }}}
  /tmp: {scratch: true}
resources: {{ toJson $values.operator.resources }}
{{- end }}
