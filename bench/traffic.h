// SPDX-License-Identifier: AGPL-3.0-only
// The signing calls of a busy worker, many under way at once on one connection a role.
#ifndef AUSPEX_BENCH_TRAFFIC_H_
#define AUSPEX_BENCH_TRAFFIC_H_

#include <cstdint>
#include <functional>
#include <string>

#include "bench/keyd_process.h"

namespace auspex::bench {

// Polls, with `in_flight` under way for `seconds`. Returns signatures a second.
double PollRate(const KeydProcess& keyd, int in_flight, double seconds);

// What a unit has signed, one after the other: poll, sign_result, submit_result, fetch_receipt, each unit with an assignment of its
// own; `in_flight` units at once until `signatures` were made. Calls `look` after every `step` of them.
void UnitTraffic(const KeydProcess& keyd, int in_flight, uint64_t signatures, uint64_t step,
                 const std::function<void(uint64_t done)>& look);

}  // namespace auspex::bench

#endif  // AUSPEX_BENCH_TRAFFIC_H_
