// SPDX-License-Identifier: AGPL-3.0-only
// Quorum and completion (coordinator section 10): the reducers as pure functions, and the step that
// runs after every stored result. Single-threaded.
#ifndef AUSPEX_COORDD_QUORUM_H_
#define AUSPEX_COORDD_QUORUM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/json/value.h"
#include "coordd/experiment_store.h"
#include "coordd/services.h"

namespace auspex::coordd {

// One result as the reducers see it.
struct ReplicaResult {
  int64_t id = 0;  // key of the result
  int64_t worker = 0;
  std::string worker_pubkey;
  int64_t exit_code = 0;
  std::string payload;  // canonical JSON
  std::string semantic_hash, canonical_sha256;
  int64_t completed_micros = 0;
};

struct Verdict {
  bool agreed = false;
  std::vector<size_t> inside;   // indices of the results that get a receipt, in the order given
  bool receipts_alone = false;  // process_only: every receipt speaks for its own result only
  std::string
      dissent;  // reason for the results outside: "quorum_disagreed" or "diverged_from_consensus"
};

// Runs the experiment's reducer over the results of one unit: one per key, ordered by completion.
// `floor` is the least number that the tolerance reducer needs.
Verdict Reduce(const Requirements& requirements, const std::vector<ReplicaResult>& results,
               int64_t floor);

struct UnitProgress {
  int64_t status = 0, completions = 0, target = 0;
};
// Called when `result` was stored and counted: completes the unit when it is the one that reaches
// the target, issues receipts or terminal marks, and completes the experiment when nothing is left.
UnitProgress SettleUnit(Services& services, const ExperimentRow& experiment, int64_t unit,
                        int64_t result, int64_t now);
// Fails a unit that is still open for everyone: it is offered no more, and its other results get no
// receipt (8.1 step 10).
void FailUnit(Services& services, const ExperimentRow& experiment, int64_t unit, int64_t now);
// Completes an approved experiment whose units are all done and which takes no more (section 10).
void MaybeCompleteExperiment(Services& services, int64_t experiment, int64_t now);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_QUORUM_H_
