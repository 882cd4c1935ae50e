// Takes the place of the client's own suite file: which broker the tests talk to, what they find there, and how they are reported (the Test
// Anything Protocol). The tests beside it are the client's; the runner gives them the addresses below and changes nothing else. The constraint
// is for the language: the client's own go.mod asks for one without generics.

//go:build go1.21

package rabbithole

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo"
	"github.com/onsi/ginkgo/config"
	"github.com/onsi/ginkgo/types"
	. "github.com/onsi/gomega"
)

// The virtual host that the tests expect, beside the one that every broker has.
const secondVhost = "rabbit/hole"

// What the tests say instead of the addresses of a broker on its usual ports.
var (
	managementURL = os.Getenv("MANAGEMENT_URL")
	amqpHost      = must(url.Parse(os.Getenv("AMQP_URL"))).Host
	amqpPort      = uint(must(strconv.Atoi(must(url.Parse(os.Getenv("AMQP_URL"))).Port())))
	statistics    = must(time.ParseDuration(os.Getenv("STATISTICS_WAIT")))
)

// Brokers keep a sample of each queue every five seconds; tests that ask for samples wait for one, as they always did.
const samples = 5200 * time.Millisecond

// propagation is what the tests wait for what they did to be counted.
func propagation() time.Duration {
	if strings.Contains(CurrentGinkgoTestDescription().FullTestText, "with arguments") {
		return samples
	}
	return statistics
}

func must[T any](found T, err error) T {
	if err != nil {
		panic(err)
	}
	return found
}

// lacking says which refusal each test must meet that needs what the broker lacks.
func lacking() map[string]string {
	list := filepath.Join(filepath.Dir(must(os.Executable())), "source", "lacking.txt")
	refusals := map[string]string{}
	for _, line := range strings.Split(string(must(os.ReadFile(list))), "\n") {
		if name, refusal, listed := strings.Cut(line, " # "); listed && !strings.HasPrefix(line, "#") {
			refusals[name] = refusal
		}
	}
	return refusals
}

func saysOne(said, refusals string) bool {
	for _, refusal := range strings.Split(refusals, " | ") {
		if strings.Contains(said, refusal) {
			return true
		}
	}
	return false
}

// tap reports as the runner reads it. Each line begins with a new one, because the tests print too.
type tap struct {
	refusals map[string]string
	reported int
}

func (t *tap) SpecSuiteWillBegin(_ config.GinkgoConfigType, suite *types.SuiteSummary) {
	fmt.Printf("\n1..%d\n", suite.NumberOfTotalSpecs+1)
}

func (t *tap) BeforeSuiteDidRun(*types.SetupSummary) {}

func (t *tap) SpecWillRun(*types.SpecSummary) {}

func (t *tap) SpecDidComplete(spec *types.SpecSummary) {
	// The first two name the root and the whole suite.
	name := strings.Join(spec.ComponentTexts[2:], " ")
	refusal, refused := t.refusals[name]
	delete(t.refusals, name)
	said := strings.Join(strings.Fields(spec.Failure.Message+" "+spec.Failure.ForwardedPanic), " ")
	switch {
	case refused && spec.Passed():
		t.report(name, "it passes; take it off lacking.txt")
	case refused && saysOne(said, refusal), !refused && spec.Passed():
		t.report(name, "")
	default:
		t.report(name, said+" ("+spec.Failure.Location.String()+")")
	}
}

func (t *tap) AfterSuiteDidRun(*types.SetupSummary) {}

// The last result: a list that names what is no test lets tests go unnoticed.
func (t *tap) SpecSuiteDidEnd(*types.SuiteSummary) {
	reason := ""
	if len(t.refusals) > 0 {
		reason = fmt.Sprintf("not tests: %v", t.refusals)
	}
	t.report("every test on lacking.txt exists", reason)
}

func (t *tap) report(name, reason string) {
	t.reported++
	if reason == "" {
		fmt.Printf("\nok %d - %s\n", t.reported, name)
	} else {
		fmt.Printf("\nnot ok %d - %s # %s\n", t.reported, name, reason)
	}
}

// furnish makes what the client's own preparation makes with rabbitmqctl.
func furnish(client *Client) {
	must(client.PutVhost(secondVhost, VhostSettings{}))
	must(client.UpdatePermissionsIn(secondVhost, "guest", Permissions{Configure: ".*", Write: ".*", Read: ".*"}))
	must(client.SetClusterName(ClusterName{Name: "rabbitmq@localhost"}))
}

func TestRabbitHole(t *testing.T) {
	client := must(NewClient(managementURL, "guest", "guest"))
	furnish(client)
	defer client.DeleteVhost(secondVhost)
	config.GinkgoConfig.RandomSeed = 1 // the same order in every run
	RegisterFailHandler(Fail)
	report := &tap{refusals: lacking()}
	// Only the exit code depends on the answer, and a test that fails as listed must not decide it.
	RunSpecsWithCustomReporters(quiet{t}, "rabbit-hole", []Reporter{report})
}

// quiet keeps the verdict to the report: the library would fail for what fails as it should.
type quiet struct{ *testing.T }

func (quiet) Fail() {}
