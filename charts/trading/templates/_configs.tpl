{{/* The data of ConfigMaps: files of files/. Those with names of the release are templates, rendered by tpl. */}}
{{- define "trading.config.prometheus" -}}
prometheus.yml: |
  {{- tpl (.Files.Get "files/prometheus/prometheus.yml") . | nindent 2 }}
rules.yml: |
  {{- .Files.Get "files/prometheus/rules.yml" | nindent 2 }}
{{- end }}

{{- define "trading.config.otel-collector" -}}
config.yaml: |
  {{- tpl (.Files.Get "files/otel-collector/config.yaml") . | nindent 2 }}
{{- end }}

{{- define "trading.config.grafana-datasources" -}}
datasources.yaml: |
  {{- tpl (.Files.Get "files/grafana/provisioning/datasources.yaml") . | nindent 2 }}
{{- end }}

{{- define "trading.config.grafana-provisioning" -}}
dashboards.yaml: |
  {{- .Files.Get "files/grafana/provisioning/dashboards.yaml" | nindent 2 }}
{{- end }}

{{- define "trading.config.grafana-dashboards" -}}
{{- range $path, $_ := .Files.Glob "files/grafana/dashboards/*.json" }}
{{ base $path }}: |
  {{- $.Files.Get $path | nindent 2 }}
{{- end }}
{{- end }}

{{- define "trading.config.postgres" -}}
pg_hba.conf: |
  {{- .Files.Get "files/postgres/pg_hba.conf" | nindent 2 }}
{{- end }}
