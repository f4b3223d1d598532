"""The manifests of a small deployment, as the chart would render them."""

from typing import Any

import yaml

TEXT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: trading-exchange, labels: {app.kubernetes.io/component: exchange}}
spec:
  replicas: 1
  selector: {matchLabels: {app.kubernetes.io/component: exchange}}
  strategy: {type: Recreate}
  template:
    metadata: {labels: {app.kubernetes.io/component: exchange}}
    spec:
      automountServiceAccountToken: false
      terminationGracePeriodSeconds: 20
      securityContext: {runAsNonRoot: true, runAsUser: 10001, runAsGroup: 10001}
      containers:
        - name: exchange
          image: trading-ecosystem:0.1.0
          args: [serve, exchange]
          env:
            - {name: SIM_SPEED, value: "1"}
            - {name: MARKET_DATA_URL, value: "http://trading-market-data:8082"}
            - {name: PRICE, value: "5$"}
          ports: [{name: http, containerPort: 8080}]
          startupProbe: {httpGet: {path: /health, port: http}, periodSeconds: 2,
                         failureThreshold: 45}
          readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 5}
          resources: {limits: {cpu: 500m, memory: 512Mi}}
          securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false,
                            capabilities: {drop: [ALL]}}
          volumeMounts:
            - {name: secrets, mountPath: /run/secrets/trading, readOnly: true}
            - {name: tmp, mountPath: /tmp}
            - {name: config, mountPath: /etc/exchange}
      volumes:
        - {name: secrets, secret: {secretName: trading-exchange}}
        - {name: tmp, emptyDir: {}}
        - {name: config, configMap: {name: trading-exchange}}
---
apiVersion: v1
kind: Service
metadata: {name: trading-exchange, labels: {app.kubernetes.io/component: exchange}}
spec:
  type: NodePort
  selector: {app.kubernetes.io/component: exchange}
  ports: [{name: http, port: 8080, targetPort: http, nodePort: 30080}]
---
apiVersion: v1
kind: Secret
metadata: {name: trading-exchange, labels: {app.kubernetes.io/component: exchange}}
data: {link-token: c2VjcmV0LW9mLWEtcmVuZGVy, chaos-token: c2VjcmV0LW9mLWEtcmVuZGVy}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: trading-exchange, labels: {app.kubernetes.io/component: exchange}}
data: {fees.yaml: "maker: 0\\n"}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: trading-exchange}
spec:
  podSelector: {matchLabels: {app.kubernetes.io/component: exchange}}
  policyTypes: [Ingress]
  ingress:
    - from:
        - podSelector: {matchLabels: {app.kubernetes.io/component: risk-monitor}}
        - podSelector: {matchLabels: {app.kubernetes.io/component: custodian}}
      ports: [{port: 8080, protocol: TCP}]
    - from: [{ipBlock: {cidr: 0.0.0.0/0}}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: trading-exchange}
"""


def manifests() -> list[dict[str, Any]]:
    """Return new manifests, which a test may change."""
    return list(yaml.safe_load_all(TEXT))
