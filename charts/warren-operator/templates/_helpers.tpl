{{/* Names, labels and the rights of the operator, each said once. */}}

{{- define "warren.name" -}}
{{- if contains "warren" .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-warren-operator" .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "warren.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "warren.name" .) -}}
{{- end -}}

{{- define "warren.selector" -}}
app.kubernetes.io/name: warren-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "warren.labels" -}}
{{ include "warren.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: warren
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "warren.image" -}}
{{- with .Values.image -}}
{{- .repository -}}{{- with .tag }}:{{ . }}{{- end -}}{{- with .digest }}@{{ . }}{{- end -}}
{{- end -}}
{{- end -}}

{{- define "warren.podSecurity" -}}
runAsNonRoot: true
runAsUser: 999
runAsGroup: 999
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "warren.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What the operator may do where it looks after RabbitClusters and Policies. Of a Policy it changes the finalizers alone. Secrets are neither listed nor watched: only those named after a cluster are asked for. Events are read while a pod is missing or has no volume, since nothing else says why. A StatefulSet is deleted without its pods, and made anew, where volumes shrink or change their class. */}}
{{- define "warren.rules" -}}
- apiGroups: [warren.dev]
  resources: [rabbitclusters]
  verbs: [get, list, watch]
- apiGroups: [warren.dev]
  resources: [rabbitclusters/status]
  verbs: [patch]
- apiGroups: [warren.dev]
  resources: [rabbitclusters/finalizers]
  verbs: [update]
- apiGroups: [warren.dev]
  resources: [policies]
  verbs: [get, list, patch, watch]
- apiGroups: [warren.dev]
  resources: [policies/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [create, get, patch]
- apiGroups: [""]
  resources: [configmaps, serviceaccounts]
  verbs: [create, get, list, patch, watch]
- apiGroups: [""]
  resources: [services]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [apps]
  resources: [statefulsets]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [create, delete, get, list, patch, watch]
- apiGroups: [""]
  resources: [pods]
  verbs: [delete, list, patch, watch]
- apiGroups: [""]
  resources: [persistentvolumeclaims]
  verbs: [delete, list, patch]
- apiGroups: [monitoring.coreos.com]
  resources: [prometheusrules, servicemonitors]
  verbs: [create, delete, get, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [list]
{{- end -}}
