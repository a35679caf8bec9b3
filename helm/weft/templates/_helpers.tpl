{{- define "weft.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "weft.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains (include "weft.name" .) .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "weft.name" .) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "weft.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/name: {{ include "weft.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of pods, without the chart's version, which is no reason to start one anew. */}}
{{- define "weft.podLabels" -}}
app.kubernetes.io/name: {{ include "weft.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels that select the pods of the server, and nothing else of the release. */}}
{{- define "weft.selectorLabels" -}}
app.kubernetes.io/name: {{ include "weft.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "weft.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "weft.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "weft.image" -}}
{{- $name := .Values.image.repository -}}
{{- with .Values.image.registry -}}{{- $name = printf "%s/%s" . $name -}}{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $name .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.Values.image.tag | default (printf "%s-%s" .Chart.AppVersion .Values.device)) -}}
{{- end -}}
{{- end -}}

{{/* A size such as 512Mi in MiB. The schema allows nothing else. */}}
{{- define "weft.mebibytes" -}}
{{- $number := regexFind "^[0-9]+" . | int64 -}}
{{- $factor := get (dict "Mi" 1 "Gi" 1024 "Ti" 1048576) (regexFind "[A-Z]i$" .) | int64 -}}
{{- mul $number $factor -}}
{{- end -}}

{{/* What the process needs, in MiB. */}}
{{- define "weft.neededMebibytes" -}}
{{- $sum := 0 | int64 -}}
{{- range list .Values.memory.heap .Values.memory.direct .Values.memory.native .Values.cache.hostBytes -}}
{{- $sum = add $sum (include "weft.mebibytes" . | int64) -}}
{{- end -}}
{{- if eq .Values.device "cpu" -}}
{{- $sum = add $sum (include "weft.mebibytes" .Values.cache.deviceBytes | int64) -}}
{{- end -}}
{{- $sum -}}
{{- end -}}

{{- define "weft.memoryLimit" -}}
{{- if .Values.memory.limit -}}
{{- .Values.memory.limit -}}
{{- else -}}
{{- printf "%sMi" (include "weft.neededMebibytes" .) -}}
{{- end -}}
{{- end -}}

{{- define "weft.modelVolume" -}}
{{- if ne .Values.model.source "demo" -}}yes{{- end -}}
{{- end -}}

{{- define "weft.claimName" -}}
{{- if .Values.model.existingClaim -}}
{{- .Values.model.existingClaim -}}
{{- else -}}
{{- printf "%s-model" (include "weft.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* The model's directory inside its volume. A download goes to one of its own for each revision. */}}
{{- define "weft.modelPath" -}}
{{- if eq .Values.model.source "download" -}}
{{- printf "%s/%s" (.Values.model.download.repository | replace "/" "--") (.Values.model.download.revision | trunc 12) -}}
{{- else -}}
{{- .Values.model.path -}}
{{- end -}}
{{- end -}}

{{- define "weft.model" -}}
{{- if eq .Values.model.source "demo" -}}
demo
{{- else -}}
{{- printf "/models/%s" (include "weft.modelPath" .) | trimSuffix "/" -}}
{{- end -}}
{{- end -}}

{{/* The environment that the chart controls: a key for each setting that has a value. */}}
{{- define "weft.environment" -}}
WEFT_MODEL: {{ include "weft.model" . | quote }}
WEFT_DEVICE: {{ .Values.device | quote }}
WEFT_HOST_MEMORY: {{ .Values.cache.hostBytes | quote }}
WEFT_MANAGEMENT_PORT: {{ .Values.managementPort | quote }}
WEFT_DRAIN_TIMEOUT: {{ printf "%ds" (int64 .Values.shutdown.drainSeconds) | quote }}
WEFT_PROFILE_DIRECTORY: /var/cache/weft/profiles
WEFT_JAVA_OPTS: {{ include "weft.javaOptions" . | quote }}
{{- with .Values.model.servedName }}
WEFT_SERVED_MODEL_NAME: {{ . | quote }}
{{- end }}
{{- with .Values.cache.deviceBytes }}
WEFT_DEVICE_MEMORY: {{ . | quote }}
{{- end }}
{{- with .Values.cache.stagingBytes }}
WEFT_STAGING_MEMORY: {{ . | quote }}
{{- end }}
{{- range $key := keys .Values.settings | sortAlpha }}
{{- $value := get $.Values.settings $key }}
{{- if kindIs "invalid" $value }}
{{- else if hasSuffix "Seconds" $key }}
{{ printf "WEFT_%s" (trimSuffix "Seconds" $key | snakecase | upper) }}: {{ printf "%ds" (int64 $value) | quote }}
{{- else }}
{{ printf "WEFT_%s" (snakecase $key | upper) }}: {{ include "weft.plainNumber" $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A value as text. Numbers of a values file are floating-point ones, which would be printed as 1e+06. */}}
{{- define "weft.plainNumber" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{- int64 . -}}{{- else -}}{{- . -}}{{- end -}}
{{- end -}}

{{- define "weft.javaOptions" -}}
{{- $heap := include "weft.mebibytes" .Values.memory.heap -}}
{{- $direct := include "weft.mebibytes" .Values.memory.direct -}}
{{- $options := list (printf "-Xms%sm" $heap) (printf "-Xmx%sm" $heap) (printf "-XX:MaxDirectMemorySize=%sm" $direct) -}}
{{- concat $options .Values.javaOptions | join " " -}}
{{- end -}}

{{/* A container that can do nothing but its work. */}}
{{- define "weft.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "weft.podSecurity" -}}
runAsNonRoot: true
{{- if not (kindIs "invalid" .Values.security.runAsUser) }}
runAsUser: {{ int64 .Values.security.runAsUser }}
{{- end }}
{{- if not (kindIs "invalid" .Values.security.runAsGroup) }}
runAsGroup: {{ int64 .Values.security.runAsGroup }}
{{- end }}
{{- if not (kindIs "invalid" .Values.security.fsGroup) }}
fsGroup: {{ int64 .Values.security.fsGroup }}
# A volume with a model of 100 GB is not walked through at every start.
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* Which nodes a pod may go to. */}}
{{- define "weft.scheduling" -}}
{{- $tolerations := .Values.tolerations -}}
{{- if and (eq .Values.device "cuda") .Values.gpu.tolerateTaint -}}
{{- $tolerations = append $tolerations (dict "key" "nvidia.com/gpu" "operator" "Exists" "effect" "NoSchedule") -}}
{{- end -}}
{{- $parts := dict -}}
{{- with .Values.priorityClassName -}}{{- $_ := set $parts "priorityClassName" . -}}{{- end -}}
{{- with .Values.nodeSelector -}}{{- $_ := set $parts "nodeSelector" . -}}{{- end -}}
{{- with $tolerations -}}{{- $_ := set $parts "tolerations" . -}}{{- end -}}
{{- with $parts -}}{{- toYaml . -}}{{- end -}}
{{- end -}}

{{- define "weft.imagePullSecrets" -}}
{{- with .Values.imagePullSecrets -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
