{{/*
Every component's secrets, component -> file -> text. What the cluster has is kept; what is missing
is made. Made once in a render: the others' digests and the pods' checksums agree with it.
*/}}
{{- define "trading.secrets" -}}
{{- if not (hasKey .Values "renderedSecrets") }}
{{- $_ := set .Values "renderedSecrets" (include "trading.secrets.make" .) }}
{{- end }}
{{- .Values.renderedSecrets }}
{{- end }}

{{- define "trading.secrets.kept" -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace (include "trading.secret" .) }}
{{- $kept := dig "data" .key "" (default dict $found) }}
{{- if $kept }}{{ $kept | b64dec }}{{ else }}{{ randAlphaNum 40 }}{{ end }}
{{- end }}

{{- define "trading.secrets.make" -}}
{{- $root := . }}
{{- $topology := include "trading.topology" . | fromYaml }}
{{- $fullname := include "trading.fullname" . }}
{{- $tls := .Values.tls.required }}
{{- $made := dict }}
{{- $tokens := dict }}
{{- $passwords := dict }}
{{- range $name, $_ := $topology.services }}
{{- $_ := set $tokens $name (include "trading.secrets.kept" (dict "root" $root "component" $name "key" "link-token")) }}
{{- $_ := set $passwords $name (include "trading.secrets.kept" (dict "root" $root "component" "database" "key" $name)) }}
{{- end }}
{{- $admin := include "trading.secrets.kept" (dict "root" . "component" "postgres" "key" "password") }}
{{- $redis := include "trading.secrets.kept" (dict "root" . "component" "redis" "key" "password") }}
{{- $chaos := include "trading.secrets.kept" (dict "root" . "component" "test-coordinator" "key" "chaos-token") }}
{{- $reading := include "trading.secrets.kept" (dict "root" . "component" "risk-monitor" "key" "read-token") }}
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
{{- $_ := set $files "read-token-sha256" ($reading | sha256sum) }}
{{- if $root.Values.chaos.enabled }}
{{- $_ := set $files "chaos-token-sha256" ($chaos | sha256sum) }}
{{- if eq $name "test-coordinator" }}
{{- $_ := set $files "chaos-token" $chaos }}
{{- end }}
{{- end }}
{{- if has $name (get $topology.stores "redis").callers }}
{{- $_ := set $files "redis-url" (printf "%s://:%s@%s-redis:6379/0%s" ($tls | ternary "rediss" "redis") $redis $fullname ($tls | ternary "?ssl_ca_certs=/run/secrets/tls/ca.crt" "")) }}
{{- end }}
{{- if eq $name "risk-monitor" }}
{{- $_ := set $files "risk-token" (include "trading.secrets.kept" (dict "root" $root "component" $name "key" "risk-token")) }}
{{- $_ := set $files "read-token" $reading }}
{{- end }}
{{- if eq $name "exchange" }}
{{- range list "api-key" "api-secret" }}
{{- $_ := set $files . (include "trading.secrets.kept" (dict "root" $root "component" $name "key" .)) }}
{{- end }}
{{- end }}
{{- $_ := set $made $name $files }}
{{- end }}
{{- $_ := set $made "postgres" (dict "password" $admin) }}
{{- $_ := set $made "redis" (dict "password" $redis "redis.conf" (printf "requirepass %s\n" $redis)) }}
{{- $_ := set $made "database" (merge (dict "admin-url" (printf "postgresql://postgres:%s@%s" $admin $database)) $passwords) }}
{{- if include "trading.operated" . }}
{{- $_ := set $made "operator" (dict "chaos-token" $chaos) }}
{{- end }}
{{- if .Values.grafana.enabled }}
{{- $_ := set $made "grafana" (dict "admin-password" (include "trading.secrets.kept" (dict "root" . "component" "grafana" "key" "admin-password"))) }}
{{- end }}
{{- toYaml $made }}
{{- end }}
