// The pages for Prometheus as its own tool judges them: promlint is what `promtool check metrics` runs.
package main

import (
	"net/http"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// RabbitMQ's own names, which dashboards ask for, whatever the tool says of them.
const peers = "rabbitmq_unreachable_cluster_peers_count"

const memoryPage = "/metrics/memory-breakdown"

func metricsAreAsPromtoolWantsThem(e *env) {
	address := os.Getenv("METRICS_URL")
	if address == "" {
		fail("METRICS_URL does not say where the metrics are: --metrics-url")
	}
	ch := e.channel()
	must(ch.Confirm(false), "confirm.select")
	publish(ch, exclusiveQueue(ch), "counted")
	for _, page := range []string{"", "/per-object", "/detailed?family=queue_coarse_metrics&family=channel_metrics"} {
		lint(address + "/metrics" + page)
	}
	// A page that RabbitMQ has since 4.0.
	if answer := value(http.Get(address + memoryPage)); answer.StatusCode == http.StatusOK {
		lint(address + memoryPage)
	}
}

func lint(page string) {
	answer := value(http.Get(page))
	defer answer.Body.Close()
	same(answer.StatusCode, http.StatusOK, page)
	for _, problem := range value(promlint.New(answer.Body).Lint()) {
		if !strings.HasPrefix(problem.Metric, "erlang_") && problem.Metric != peers {
			fail("%s: %s %s", page, problem.Metric, problem.Text)
		}
	}
}
