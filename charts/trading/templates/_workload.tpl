{{/* A Deployment, StatefulSet or Job from the specification of a component. */}}
{{- define "trading.pod" -}}
{{- $spec := .spec }}
{{- $root := .root }}
metadata:
  labels:
    {{- include "trading.labels" (dict "root" $root "component" .component) | nindent 4 }}
  annotations:
    checksum/config: {{ include "trading.checksum" (dict "root" $root "spec" $spec "component" .component "kind" "config") }}
    {{- if $root.Values.secrets.create }}
    checksum/secret: {{ include "trading.checksum" (dict "root" $root "spec" $spec "component" .component "kind" "secret") }}
    {{- end }}
    {{- with $root.Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "trading.fullname" $root }}-{{ .component }}
  automountServiceAccountToken: {{ default false $spec.apiToken }}
  enableServiceLinks: false
  {{- with $spec.grace }}
  terminationGracePeriodSeconds: {{ . }}
  {{- end }}
  {{- if eq $spec.kind "Job" }}
  restartPolicy: OnFailure
  {{- end }}
  {{- with $root.Values.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: {{ $spec.user }}
    runAsGroup: {{ $spec.user }}
    fsGroup: {{ $spec.user }}
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  {{- with $root.Values.nodeSelector }}
  nodeSelector: {{ toJson . }}
  {{- end }}
  {{- with $root.Values.tolerations }}
  tolerations: {{ toJson . }}
  {{- end }}
  {{- with $root.Values.affinity }}
  affinity: {{ toJson . }}
  {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ $spec.image }}
      imagePullPolicy: {{ default "IfNotPresent" $spec.pullPolicy }}
      {{- with $spec.command }}
      command: {{ toJson . }}
      {{- end }}
      {{- with $spec.args }}
      args:
        {{- range . }}
        - {{ . | quote }}
        {{- end }}
      {{- end }}
      {{- with $spec.env }}
      env:
        {{- range $name, $value := . }}
        - name: {{ $name }}
          value: {{ $value | quote }}
        {{- end }}
      {{- end }}
      {{- with $spec.ports }}
      ports:
        {{- range $name, $port := . }}
        - name: {{ $name }}
          containerPort: {{ $port }}
          protocol: TCP
        {{- end }}
      {{- end }}
      {{- range $name, $probe := $spec.probes }}
      {{ $name }}Probe: {{ toJson $probe }}
      {{- end }}
      resources: {{ toJson $spec.resources }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        {{- range $path, $mount := $spec.mounts }}
        - name: {{ include "trading.volume" $path }}
          mountPath: {{ $path }}
          {{- if not (or $mount.scratch $mount.data) }}
          readOnly: true
          {{- end }}
        {{- end }}
  volumes:
    {{- range $path, $mount := $spec.mounts }}
    {{- if not $mount.data }}
    - name: {{ include "trading.volume" $path }}
      {{- if or $mount.secret $mount.tls }}
      secret:
        secretName: {{ default $mount.tls $mount.secret }}
        defaultMode: 0440
        {{- with $mount.only }}
        items:
          {{- range . }}
          - {key: {{ . }}, path: {{ . }}}
          {{- end }}
        {{- end }}
      {{- else if $mount.config }}
      configMap: {name: {{ include "trading.fullname" $root }}-{{ $mount.config }}}
      {{- else }}
      emptyDir: {}
      {{- end }}
    {{- end }}
    {{- end }}
{{- end }}

{{- define "trading.volume" -}}
{{- trimPrefix "/" . | replace "/" "-" | replace "_" "-" | lower }}
{{- end }}

{{/* The checksum of the ConfigMaps or the Secret of a pod. Pods read them at their start only, so a change has to restart them. */}}
{{- define "trading.checksum" -}}
{{- $root := .root }}
{{- $content := list }}
{{- if eq .kind "secret" }}
{{- $content = get (include "trading.secrets" $root | fromYaml) .component }}
{{- else }}
{{- range $path, $mount := .spec.mounts }}
{{- if $mount.config }}
{{- $content = append $content (include (printf "trading.config.%s" $mount.config) $root) }}
{{- end }}
{{- end }}
{{- end }}
{{- $content | toJson | sha256sum | trunc 16 | quote }}
{{- end }}

{{- define "trading.workload" -}}
{{- $spec := include "trading.component" . | fromYaml }}
{{- $fullname := include "trading.fullname" .root }}
{{- $pod := include "trading.pod" (merge (dict "spec" $spec) .) }}
{{- $name := printf "%s-%s" $fullname .component }}
{{- if eq $spec.kind "Job" }}
{{- /* The template of a Job is immutable, so its name depends on it. */}}
{{- $name = printf "%s-%s" $name (sha256sum $pod | trunc 8) }}
{{- end }}
apiVersion: {{ eq $spec.kind "Job" | ternary "batch/v1" "apps/v1" }}
kind: {{ $spec.kind }}
metadata:
  name: {{ $name }}
  labels:
    {{- include "trading.labels" . | nindent 4 }}
spec:
  {{- if eq $spec.kind "Job" }}
  backoffLimit: 20
  ttlSecondsAfterFinished: 86400
  {{- else }}
  replicas: {{ default 1 $spec.replicas }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "trading.selector" . | nindent 6 }}
  {{- if eq $spec.kind "StatefulSet" }}
  serviceName: {{ $name }}
  {{- else }}
  strategy: {{ default (dict "type" "Recreate") $spec.strategy | toJson }}
  {{- end }}
  {{- end }}
  template:
    {{- $pod | nindent 4 }}
  {{- range $path, $mount := $spec.mounts }}
  {{- with $mount.data }}
  volumeClaimTemplates:
    - metadata:
        name: {{ include "trading.volume" $path }}
      spec:
        accessModes: [ReadWriteOnce]
        {{- with .className }}
        storageClassName: {{ . }}
        {{- end }}
        resources: {requests: {storage: {{ .size }}}}
  {{- end }}
  {{- end }}
{{- end }}
