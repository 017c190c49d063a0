// Takes in events as a receiver in Go would, and prints JSON: nanoseconds per event of each round.
//
// usage: ingest EVENTS
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"time"

	"gitops-brain-peers/event"
)

const (
	rounds = 15
	warmUp = 3
)

var key = []byte("7152fed34dd6149a7c75a276c510da27cb6f82b0")

type request struct{ Signature, Body string }

func main() {
	file, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	var read []request
	if err := json.Unmarshal(file, &read); err != nil {
		log.Fatal(err)
	}
	bodies := make([][]byte, len(read))
	for i, each := range read {
		bodies[i] = []byte(each.Body)
	}
	var measured []float64
	for round := -warmUp; round < rounds; round++ {
		states := event.States{}
		start := time.Now()
		for i, body := range bodies {
			if err := event.Verify(key, body, read[i].Signature); err != nil {
				log.Fatal(err)
			}
			observed, err := event.Observe("staging", body, time.Now())
			if err != nil {
				log.Fatal(err)
			}
			states.Apply(observed)
		}
		each := float64(time.Since(start).Nanoseconds()) / float64(len(bodies))
		kept := 0
		for _, commits := range states {
			kept += len(commits)
		}
		if kept != len(bodies) {
			log.Fatalf("%d states of %d events", kept, len(bodies))
		}
		if round >= 0 {
			measured = append(measured, each)
		}
	}
	text, err := json.Marshal(measured)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
}
