// SPDX-License-Identifier: AGPL-3.0-only
// Choosing the next unit for a worker (coordinator 7.2, 7.4, 7.5): first what this worker was
// offered before and may be offered again, then the first unit in order of submission that fits and
// has a place. First fit, no reservations.
#ifndef AUSPEX_COORDD_OFFER_H_
#define AUSPEX_COORDD_OFFER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "common/json/value.h"
#include "coordd/services.h"
#include "coordd/worker_store.h"

namespace auspex::coordd {

// A unit that was handed out; the assignment row is written.
struct Offer {
  std::string assignment_id, experiment_id, unit_id, tenant_id, label, manifest_sha256;
  std::string payload;     // canonical JSON object
  int64_t created_at = 0;  // of the unit
};

struct OfferChoice {
  std::optional<Offer> offer;
  // Why there is none, when there is none: null, or {code, message, model_id?}.
  JsonValue idle_reason;
};

// Picks and records. `capabilities` are the worker's last.
OfferChoice ChooseOffer(Services& services, const WorkerRow& worker, const JsonValue& capabilities,
                        int64_t now);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_OFFER_H_
