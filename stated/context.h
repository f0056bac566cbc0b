// SPDX-License-Identifier: AGPL-3.0-only
// What every part of stated's library works with. The Hub owns all of it; parts hold a reference.
// Immutable but for what its members guard themselves.
#ifndef AUSPEX_STATED_CONTEXT_H_
#define AUSPEX_STATED_CONTEXT_H_

#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "stated/changes.h"
#include "stated/database.h"

namespace auspex::stated {

struct Settings {
  // After a 423 a result or refusal is sent again after this long; at least a second.
  int64_t poll_interval_micros = 30'000'000;
  // 64 lower-case hex digits of the key that must have signed receipts; empty: roster or first
  // seen.
  std::string receipt_signer_pubkey;
  // How many rows retention leaves, and how much of payloads.
  int64_t keep_results = 10'000;
  int64_t keep_units = 10'000;
  int64_t keep_audit = 1'000'000;
  int64_t keep_pins = 200'000;
  int64_t keep_payload_octets = int64_t{256} * 1024 * 1024;
};

struct Context {
  Database& db;
  const Clock& clock;
  Changes& changes;
  const Settings settings;
};

}  // namespace auspex::stated

#endif  // AUSPEX_STATED_CONTEXT_H_
