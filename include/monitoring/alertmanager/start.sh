#!/bin/sh
# Start Alertmanager for those whom alertmanager.env names; `start.sh print FOLDER` only writes its configuration there.
# Alertmanager reads no variables, and files that hold secrets would have to belong to its container's user.
set -eu
here=$(dirname "$0")

# A text as YAML takes it, whatever is in it.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/''/g")"; }

colleagues() {
  if [ -n "${ALERTMANAGER_SLACK_URL:-}" ]; then
    cat <<YAML
    slack_configs:
      - api_url: $(quoted "$ALERTMANAGER_SLACK_URL")
        send_resolved: true
        title: '{{ template "understudy.subject" . }}'
        text: '{{ template "understudy.text" . }}'
YAML
  fi
  if [ -n "${ALERTMANAGER_MAIL_TO:-}" ]; then
    cat <<YAML
    email_configs:
      - to: $(quoted "$ALERTMANAGER_MAIL_TO")
        from: $(quoted "$ALERTMANAGER_MAIL_FROM")
        smarthost: $(quoted "$ALERTMANAGER_MAIL_SERVER")
        auth_username: $(quoted "${ALERTMANAGER_MAIL_USER:-}")
        auth_password: $(quoted "${ALERTMANAGER_MAIL_PASSWORD:-}")
        require_tls: ${ALERTMANAGER_MAIL_TLS:-true}
        send_resolved: true
        headers: {Subject: '{{ template "understudy.subject" . }}'}
        html: ''
        text: '{{ template "understudy.text" . }}'
YAML
  fi
  if [ -n "${ALERTMANAGER_WEBHOOK_URL:-}" ]; then
    cat <<YAML
    webhook_configs:
      - url: $(quoted "$ALERTMANAGER_WEBHOOK_URL")
        send_resolved: true
YAML
  fi
}

receivers() {
  echo "  - name: colleagues"
  colleagues
  echo "  - name: pager"
  colleagues
  if [ -n "${ALERTMANAGER_PAGERDUTY_KEY:-}" ]; then
    cat <<YAML
    pagerduty_configs:
      - routing_key: $(quoted "$ALERTMANAGER_PAGERDUTY_KEY")
        url: $(quoted "${ALERTMANAGER_PAGERDUTY_URL:-https://events.pagerduty.com/v2/enqueue}")
        severity: critical
        description: '{{ template "understudy.subject" . }}'
        details: {text: '{{ template "understudy.text" . }}'}
YAML
  fi
  echo "  - name: watchdog"
  if [ -n "${ALERTMANAGER_HEARTBEAT_URL:-}" ]; then
    cat <<YAML
    webhook_configs:
      - url: $(quoted "$ALERTMANAGER_HEARTBEAT_URL")
        send_resolved: false
YAML
  fi
}

write_to() {
  umask 077
  if [ -n "${ALERTMANAGER_MAIL_TO:-}" ]; then
    : "${ALERTMANAGER_MAIL_FROM:?names the sender of mail to ALERTMANAGER_MAIL_TO; set it in alertmanager.env}"
    : "${ALERTMANAGER_MAIL_SERVER:?names host:port of the server of ALERTMANAGER_MAIL_TO; set it in alertmanager.env}"
  fi
  runbooks=${ALERTMANAGER_RUNBOOKS:-${STACK_AIRFLOW_URL:-http://localhost:${STACK_AIRFLOW_PORT:-8080}}/understudy/runbooks}
  cp "$here/understudy.tmpl" "$1/understudy.tmpl"
  printf '{{ define "understudy.runbooks" }}%s{{ end }}\n' "$runbooks" > "$1/runbooks.tmpl"
  {
    cat "$here/routes.yml"
    printf 'templates: [%s]\n' "$(quoted "$1/*.tmpl")"
    echo "receivers:"
    receivers
  } > "$1/alertmanager.yml"
}

if [ "${1:-}" = print ]; then
  write_to "$2"
  exit 0
fi
if [ -z "${ALERTMANAGER_SLACK_URL:-}${ALERTMANAGER_MAIL_TO:-}${ALERTMANAGER_WEBHOOK_URL:-}${ALERTMANAGER_PAGERDUTY_KEY:-}" ]; then
  echo "alertmanager: nobody is told of anything until alertmanager.env names somebody (docs/operations.md)" >&2
fi
write_to /run/alertmanager
exec alertmanager --config.file=/run/alertmanager/alertmanager.yml --storage.path=/alertmanager --cluster.listen-address=
