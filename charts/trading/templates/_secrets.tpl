{{/*
The secrets of all components: component -> file -> text. Values that exist in the cluster are reused;
missing ones are random. They are built only once in a render, so that digests in other Secrets and
the checksums of pods match.
*/}}
{{- define "trading.secrets" -}}
{{- if not (hasKey .Values "renderedSecrets") }}
{{- $_ := set .Values "renderedSecrets" (include "trading.secrets.build" .) }}
{{- end }}
{{- .Values.renderedSecrets }}
{{- end }}

{{- define "trading.secrets.value" -}}
{{- $existing := lookup "v1" "Secret" .root.Release.Namespace (include "trading.secret" .) }}
{{- $value := dig "data" .key "" (default dict $existing) }}
{{- if $value }}{{ $value | b64dec }}{{ else }}{{ randAlphaNum 40 }}{{ end }}
{{- end }}

{{- define "trading.secrets.build" -}}
{{- $root := . }}
{{- $topology := include "trading.topology" . | fromYaml }}
{{- $fullname := include "trading.fullname" . }}
{{- $tls := .Values.tls.required }}
{{- $secrets := dict }}
{{- $tokens := dict }}
{{- $passwords := dict }}
{{- range $name, $_ := $topology.services }}
{{- $_ := set $tokens $name (include "trading.secrets.value" (dict "root" $root "component" $name "key" "link-token")) }}
{{- $_ := set $passwords $name (include "trading.secrets.value" (dict "root" $root "component" "database" "key" $name)) }}
{{- end }}
{{- $adminPassword := include "trading.secrets.value" (dict "root" . "component" "postgres" "key" "password") }}
{{- $redisPassword := include "trading.secrets.value" (dict "root" . "component" "redis" "key" "password") }}
{{- $chaosToken := include "trading.secrets.value" (dict "root" . "component" "test-coordinator" "key" "chaos-token") }}
{{- $readToken := include "trading.secrets.value" (dict "root" . "component" "risk-monitor" "key" "read-token") }}
{{- $database := printf "%s-postgres:5432/trading" $fullname }}
{{- if $tls }}
{{- $database = printf "%s?sslmode=verify-full&sslrootcert=/run/secrets/tls/ca.crt" $database }}
{{- end }}
{{- range $name, $service := $topology.services }}
{{- $peers := dict }}
{{- range $service.callers }}
{{- if hasKey $tokens . }}
{{- $_ := set $peers . (get $tokens . | sha256sum) }}
{{- end }}
{{- end }}
{{- $files := dict "link-token" (get $tokens $name) "link-peers" (toJson $peers) }}
{{- $_ := set $files "database-url" (printf "postgresql://%s:%s@%s" (replace "-" "_" $name) (get $passwords $name) $database) }}
{{- $_ := set $files "read-token-sha256" ($readToken | sha256sum) }}
{{- if $root.Values.chaos.enabled }}
{{- $_ := set $files "chaos-token-sha256" ($chaosToken | sha256sum) }}
{{- if eq $name "test-coordinator" }}
{{- $_ := set $files "chaos-token" $chaosToken }}
{{- end }}
{{- end }}
{{- if has $name (get $topology.stores "redis").callers }}
{{- $_ := set $files "redis-url" (printf "%s://:%s@%s-redis:6379/0%s" ($tls | ternary "rediss" "redis") $redisPassword $fullname ($tls | ternary "?ssl_ca_certs=/run/secrets/tls/ca.crt" "")) }}
{{- end }}
{{- if eq $name "risk-monitor" }}
{{- $_ := set $files "risk-token" (include "trading.secrets.value" (dict "root" $root "component" $name "key" "risk-token")) }}
{{- $_ := set $files "read-token" $readToken }}
{{- end }}
{{- if eq $name "exchange" }}
{{- range list "api-key" "api-secret" }}
{{- $_ := set $files . (include "trading.secrets.value" (dict "root" $root "component" $name "key" .)) }}
{{- end }}
{{- end }}
{{- $_ := set $secrets $name $files }}
{{- end }}
{{- $_ := set $secrets "postgres" (dict "password" $adminPassword) }}
{{- $_ := set $secrets "redis" (dict "password" $redisPassword "redis.conf" (printf "requirepass %s\n" $redisPassword)) }}
{{- $_ := set $secrets "database" (merge (dict "admin-url" (printf "postgresql://postgres:%s@%s" $adminPassword $database)) $passwords) }}
{{- if include "trading.operatorEnabled" . }}
{{- $_ := set $secrets "operator" (dict "chaos-token" $chaosToken) }}
{{- end }}
{{- if .Values.grafana.enabled }}
{{- $_ := set $secrets "grafana" (dict "admin-password" (include "trading.secrets.value" (dict "root" . "component" "grafana" "key" "admin-password"))) }}
{{- end }}
{{- toYaml $secrets }}
{{- end }}
