{{- define "trading.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- define "trading.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "trading.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "trading.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* The ports of all services and the allowed calls between them, generated from topology.py. */}}
{{- define "trading.topology" -}}
{{ .Files.Get "files/topology.yaml" }}
{{- end }}

{{- define "trading.selector" -}}
app.kubernetes.io/name: {{ include "trading.name" .root }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "trading.labels" -}}
{{ include "trading.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: trading-ecosystem
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* A third-party image. It comes from the mirror imageRegistry, if that is set and the image names no registry. */}}
{{- define "trading.thirdPartyImage" -}}
{{- if and .root.Values.imageRegistry (not (contains "." (splitList "/" .image | first | splitList ":" | first))) }}
{{- printf "%s/%s" .root.Values.imageRegistry .image }}
{{- else }}
{{- .image }}
{{- end }}
{{- end }}

{{- define "trading.image" -}}
{{- $image := .Values.image }}
{{- $registry := default .Values.imageRegistry $image.registry }}
{{- if $registry }}{{ $registry }}/{{ end }}{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default .Chart.AppVersion $image.tag }}{{ end }}
{{- end }}

{{/* The name of a component's existing Secret, or an empty string. */}}
{{- define "trading.existingSecret" -}}
{{- (get (merge (dict) .root.Values.services .root.Values) .component).existingSecret }}
{{- end }}

{{/* The name of the Secret that only this component mounts. */}}
{{- define "trading.secret" -}}
{{- default (printf "%s-%s" (include "trading.fullname" .root) .component) (include "trading.existingSecret" .) }}
{{- end }}

{{/* Whether a component is installed. The services, postgres and redis always are. */}}
{{- define "trading.enabled" -}}
{{- $key := get (dict "prometheus" "prometheus" "grafana" "grafana" "jaeger" "jaeger" "otel-collector" "otelCollector") .component }}
{{- if eq .component "operator" }}{{ include "trading.operatorEnabled" .root }}
{{- else if not $key }}true{{- else if (get .root.Values $key).enabled }}true{{- end }}
{{- end }}

{{/* Whether services are not selected for egress, so that the operator can add policies; see networkpolicies.yaml. */}}
{{- define "trading.egressOpen" -}}
{{- if and (include "trading.operatorEnabled" .) .Values.networkPolicy.enabled }}true{{- end }}
{{- end }}

{{/* Whether the operator is installed: without chaos it has nothing to do. */}}
{{- define "trading.operatorEnabled" -}}
{{- if and .Values.operator.enabled .Values.chaos.enabled }}true{{- end }}
{{- end }}

{{/* Whether this release installs the CRD. A CRD holds for all namespaces and outlives its release. If
another release has installed it, Helm would refuse to install it again. */}}
{{- define "trading.installsCRD" -}}
{{- $existing := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" "chaosscenarios.chaos.trading" }}
{{- $annotations := dig "metadata" "annotations" (dict) (default dict $existing) }}
{{- $name := get $annotations "meta.helm.sh/release-name" }}
{{- $namespace := get $annotations "meta.helm.sh/release-namespace" }}
{{- $own := and (eq $name .Release.Name) (eq $namespace .Release.Namespace) }}
{{- if and .Values.crds.install (or (not $existing) $own) }}true{{- end }}
{{- end }}

{{- define "trading.checks" -}}
{{- $values := .Values }}
{{- if and $values.compliance.enabled (not $values.audit.enabled) }}
{{- fail "audit.enabled: the audit cannot be switched off where compliance.enabled is true" }}
{{- end }}
{{- if and $values.compliance.enabled $values.secrets.create }}
{{- fail "secrets.create: must be false where compliance.enabled is true: make a Secret for each component (trading secrets DIR), and name it <fullname>-<component> or by existingSecret" }}
{{- end }}
{{- if and (eq $values.environment "production") $values.chaos.enabled }}
{{- fail "chaos.enabled: must be false where environment is production" }}
{{- end }}
{{- if and (include "trading.operatorEnabled" .) (not $values.crds.install) (not $values.operator.crdInstalled) }}
{{- fail "crds.install: the operator needs the definition; where it is installed already, set operator.crdInstalled" }}
{{- end }}
{{- if eq $values.environment "production" }}
{{- if not $values.compliance.enabled }}
{{- fail "compliance.enabled: must be true where environment is production" }}
{{- end }}
{{- if not $values.tls.required }}
{{- fail "tls.required: must be true where environment is production" }}
{{- end }}
{{- end }}
{{- if and $values.tls.required (not $values.tls.existingSecret) }}
{{- fail "tls.existingSecret: must name a Secret with tls.crt, tls.key and ca.crt where tls.required is true" }}
{{- end }}
{{- if and $values.tls.required $values.ingress.enabled (not $values.ingress.tlsSecret) }}
{{- fail "ingress.tlsSecret: must be set where tls.required is true" }}
{{- end }}
{{- range $name, $service := $values.services }}
{{- if and (gt (int $service.replicas) 1) (ne $name "trading-engine") }}
{{- fail (printf "services.%s.replicas: must be 1: it is one state machine with one journal; only the trading-engine can be scaled" $name) }}
{{- end }}
{{- end }}
{{- if and $values.grafana.enabled (not $values.prometheus.enabled) }}
{{- fail "grafana.enabled: needs prometheus.enabled" }}
{{- end }}
{{- if and $values.otelCollector.enabled (not $values.jaeger.enabled) }}
{{- fail "otelCollector.enabled: needs jaeger.enabled, where the traces go" }}
{{- end }}
{{- end }}

{{/* The node port of a port: 8080 -> 30080, 3000 -> 30000, 9090 -> 30090, 16686 -> 30686. */}}
{{- define "trading.nodePort" -}}
{{- add 30000 (mod (int .) 1000) }}
{{- end }}
