{{- define "plexsphere.image" -}}
{{- $image := .Values.image -}}
{{ $image.repository }}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag }}{{ end }}
{{- end }}

{{- define "plexsphere.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "plexsphere.labels" -}}
{{ include "plexsphere.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Settings, then the Secret: a variable of the latter does not override one of the former. */}}
{{- define "plexsphere.env" -}}
env:
  - {name: TMPDIR, value: /run/plexsphere-state}
  {{- range $name, $value := .Values.settings }}
  - name: PLEXSPHERE_{{ $name }}
    value: {{ $value | quote }}
  {{- end }}
{{- end }}

{{- define "plexsphere.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "plexsphere.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end }}

{{- define "plexsphere.mounts" -}}
volumeMounts:
  - {name: run, mountPath: /run/plexsphere-state}
  - {name: files, mountPath: /etc/plexsphere-state, readOnly: true}
{{- end }}

{{- define "plexsphere.volumes" -}}
volumes:
  - name: run
    emptyDir: {medium: Memory, sizeLimit: 128Mi}
  - name: files
    secret: {secretName: {{ .Values.filesSecret }}, defaultMode: 0440}
{{- end }}

{{- define "plexsphere.placement" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "plexsphere.spread" -}}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{ include "plexsphere.selector" .root | nindent 8 }}
        app.kubernetes.io/component: {{ .component }}
{{- end }}
