// Package event is what one would write by hand in Go: it verifies the signature and reads the event into
// Flux's own type.
package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1beta1"
)

// Reconciler names what reports.
type Reconciler struct{ Cluster, Kind, Namespace, Name string }

// State is what a reconciler last said of a commit.
type State struct {
	At      time.Time
	Version int64
	Reached string
}

// States has the newest state of each reconciler at each commit.
type States map[Reconciler]map[string]State

// Observation is what an event tells of a commit.
type Observation struct {
	Reconciler Reconciler
	Commit     string
	State      State
}

var (
	// ErrSignature is a signature that is not of this body and key.
	ErrSignature = errors.New("wrong signature")
	// ErrNoCommit is an event that says nothing of a commit.
	ErrNoCommit = errors.New("no commit")
	errFuture   = errors.New("from the future")
)

// Verify checks the header of generic-hmac.
func Verify(key, body []byte, header string) error {
	told, found := strings.CutPrefix(header, "sha256=")
	sent, err := hex.DecodeString(told)
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	if !found || err != nil || !hmac.Equal(sent, mac.Sum(nil)) {
		return ErrSignature
	}
	return nil
}

// Observe reads an event of a cluster.
func Observe(cluster string, body []byte, now time.Time) (Observation, error) {
	var e eventv1.Event
	if err := json.Unmarshal(body, &e); err != nil {
		return Observation{}, err
	}
	involved := e.InvolvedObject
	revision, ok := e.Metadata[eventv1.MetaRevisionKey]
	if !ok {
		group, _, _ := strings.Cut(involved.APIVersion, "/")
		revision = e.Metadata[group+"/"+eventv1.MetaRevisionKey]
	}
	_, commit, _ := strings.Cut(revision, "sha1:")
	if len(commit) != 40 {
		return Observation{}, ErrNoCommit
	}
	if e.Timestamp.Sub(now) > 10*time.Minute {
		return Observation{}, errFuture
	}
	version, err := strconv.ParseInt(involved.ResourceVersion, 10, 64)
	if err != nil {
		return Observation{}, fmt.Errorf("resourceVersion: %w", err)
	}
	return Observation{
		Reconciler: Reconciler{cluster, involved.Kind, involved.Namespace, involved.Name},
		Commit:     commit,
		State:      State{e.Timestamp.Time, version, reached(&e)},
	}, nil
}

func reached(e *eventv1.Event) string {
	switch {
	case e.Severity == eventv1.EventSeverityError:
		return "failed"
	case e.Reason == "ReconciliationSucceeded", strings.HasPrefix(e.Message, "Health check passed"):
		return "healthy"
	case e.Reason == "Progressing":
		return "applied"
	default:
		return "pending"
	}
}

// Apply keeps what was observed, unless something newer is known.
func (states States) Apply(observed Observation) {
	commits := states[observed.Reconciler]
	if commits == nil {
		commits = map[string]State{}
		states[observed.Reconciler] = commits
	}
	known, ok := commits[observed.Commit]
	later := known.At.Before(observed.State.At) ||
		known.At.Equal(observed.State.At) && known.Version < observed.State.Version
	if !ok || later {
		commits[observed.Commit] = observed.State
	}
}
