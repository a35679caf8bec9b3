{{/* What the schema cannot say: values that contradict each other. Each message says what to do. */}}
{{- define "weft.checks" -}}
{{- $values := .Values -}}

{{- if and (eq $values.device "cpu") (not $values.cache.deviceBytes) -}}
{{- fail "cache.deviceBytes is empty: with device cpu, weights and work buffers lie in the pod's own memory. Give it a size, such as 2Gi; `weft plan` says how much a model needs." -}}
{{- end -}}

{{- $needed := include "weft.neededMebibytes" . | int64 -}}
{{- if $values.memory.limit -}}
{{- $limit := include "weft.mebibytes" $values.memory.limit | int64 -}}
{{- if gt $needed $limit -}}
{{- $device := "" -}}
{{- if eq $values.device "cpu" -}}{{- $device = printf " + cache.deviceBytes %s" $values.cache.deviceBytes -}}{{- end -}}
{{- fail (printf "memory does not add up: memory.heap %s + memory.direct %s + memory.native %s + cache.hostBytes %s%s is %dMi, more than memory.limit %s. Raise memory.limit to %dMi, leave it empty to have it computed, or lower cache.hostBytes." $values.memory.heap $values.memory.direct $values.memory.native $values.cache.hostBytes $device $needed $values.memory.limit $needed) -}}
{{- end -}}
{{- end -}}

{{- if and $values.cache.deviceBytes $values.cache.stagingBytes -}}
{{- if ge (include "weft.mebibytes" $values.cache.stagingBytes | int64) (include "weft.mebibytes" $values.cache.deviceBytes | int64) -}}
{{- fail (printf "cache.stagingBytes %s is part of cache.deviceBytes %s and leaves nothing for the weights. Lower cache.stagingBytes, or leave it empty." $values.cache.stagingBytes $values.cache.deviceBytes) -}}
{{- end -}}
{{- end -}}

{{- $grace := int64 $values.shutdown.terminationGracePeriodSeconds -}}
{{- $stop := add (int64 $values.shutdown.preStopSeconds) (int64 $values.shutdown.drainSeconds) -}}
{{- if le $grace $stop -}}
{{- fail (printf "shutdown.drainSeconds %d + shutdown.preStopSeconds %d is not less than shutdown.terminationGracePeriodSeconds %d: the pod would be killed with requests running. Raise shutdown.terminationGracePeriodSeconds to at least %d, or lower shutdown.drainSeconds." (int64 $values.shutdown.drainSeconds) (int64 $values.shutdown.preStopSeconds) $grace (add $stop 10)) -}}
{{- end -}}

{{- if eq (int64 $values.managementPort) 8080 -}}
{{- fail "managementPort 8080 is the port of the API. Choose another, such as 9000." -}}
{{- end -}}

{{- $model := $values.model -}}
{{- if and (eq $model.source "existingClaim") (not $model.existingClaim) -}}
{{- fail "model.source is existingClaim and model.existingClaim is empty. Name the claim that holds the model, or use model.source pvc or download." -}}
{{- end -}}
{{- if and (eq $model.source "hostPath") (not (hasPrefix "/" $model.hostPath)) -}}
{{- fail (printf "model.source is hostPath and model.hostPath is %q. Give the absolute path of the model on the nodes." $model.hostPath) -}}
{{- end -}}
{{- if eq $model.source "download" -}}
{{- if not (and $model.download.repository $model.download.revision $model.download.files) -}}
{{- fail "model.source is download and model.download lacks repository, revision or files. Give all three; docs/kubernetes.md, \"A model from a hub\", prints them for a repository." -}}
{{- end -}}
{{- end -}}

{{- $replicas := int64 $values.replicaCount -}}
{{- if ne $values.autoscaling.kind "none" -}}
{{- $replicas = int64 $values.autoscaling.maxReplicas -}}
{{- if gt (int64 $values.autoscaling.minReplicas) $replicas -}}
{{- fail (printf "autoscaling.minReplicas %d is more than autoscaling.maxReplicas %d. Raise the latter or lower the former." (int64 $values.autoscaling.minReplicas) $replicas) -}}
{{- end -}}
{{- end -}}
{{- if and (eq $values.autoscaling.kind "keda") (not $values.autoscaling.keda.serverAddress) -}}
{{- fail "autoscaling.kind is keda and autoscaling.keda.serverAddress is empty. Give the address of your Prometheus, such as http://prometheus-operated.monitoring:9090." -}}
{{- end -}}
{{- if and (gt $replicas 1) (has $model.source (list "pvc" "download")) (not $model.existingClaim) -}}
{{- if not (or (has "ReadWriteMany" $model.pvc.accessModes) (has "ReadOnlyMany" $model.pvc.accessModes)) -}}
{{- fail (printf "up to %d pods share the claim of the model, and model.pvc.accessModes is %s: pods on other nodes would wait for ever. Use ReadWriteMany with a storage class that has it, or keep to one pod." $replicas (join ", " $model.pvc.accessModes)) -}}
{{- end -}}
{{- end -}}

{{- if and $values.ingress.enabled (not $values.ingress.hosts) -}}
{{- fail "ingress.enabled is true and ingress.hosts is empty. Name at least one host." -}}
{{- end -}}
{{- if and $values.httpRoute.enabled (not $values.httpRoute.parentRefs) -}}
{{- fail "httpRoute.enabled is true and httpRoute.parentRefs is empty. Name the Gateway, as [{name: …}]." -}}
{{- end -}}

{{- $controlled := include "weft.environment" . | fromYaml -}}
{{- $other := dict "WEFT_API_KEY" "auth.existingSecret" -}}
{{- range $values.extraEnv -}}
{{- if hasKey $controlled .name -}}
{{- fail (printf "extraEnv sets %s, which the chart sets from its own values. Remove it, and use the value: `helm show values` lists them all." .name) -}}
{{- end -}}
{{- if hasKey $other .name -}}
{{- fail (printf "extraEnv sets %s. Use %s, which takes it from a Secret." .name (get $other .name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
