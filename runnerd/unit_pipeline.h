// SPDX-License-Identifier: AGPL-3.0-only
// UnitPipeline: one unit from hand-out to signed result or refusal, in the order of wire
// protocol 6.4; the first "no" ends it. Knows nothing of gRPC: signing and archives come through
// interfaces. Run is safe from several threads at once, one unit each.
#ifndef AUSPEX_RUNNERD_UNIT_PIPELINE_H_
#define AUSPEX_RUNNERD_UNIT_PIPELINE_H_

#include <functional>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/config/config.h"
#include "runnerd/isolation.h"
#include "runnerd/package_store.h"
#include "runnerd/run_control.h"
#include "runnerd/sandbox_host.h"
#include "runnerd/sandbox_run.h"
#include "runnerd/thermal.h"
#include "runnerd/unit.h"

namespace auspex::runnerd {

// keyd, as far as a unit needs it. Implementations wait out a keyd that is not there (until
// `control` asks for the end: CANCELLED) and return its refusals. Safe from any thread.
class UnitSigner {
 public:
  virtual ~UnitSigner() = default;
  // Signs the result, and its raw text when there is one.
  virtual absl::StatusOr<SignedResult> Sign(const Unit& unit, const UnitResult& result,
                                            RunControl& control) = 0;
};

class UnitPipeline {
 public:
  // Everything is lent and must outlive the pipeline.
  struct Parts {
    const SandboxHost& host;
    std::function<absl::StatusOr<Config>()> load_config;  // the owner's settings as of now
    ThermalGovernor& thermal;
    Isolation& isolation;
    PackageStore& packages;
    UnitSigner& signer;
    const Clock& clock;
  };
  explicit UnitPipeline(Parts parts) : parts_(std::move(parts)) {}

  // Blocks until the unit is done and nothing of it is left. The calling thread must not end
  // before.
  UnitOutcome Run(const Unit& unit, RunControl& control);

  // The nodes below /dev that the unit may open by the owner's settings of now.
  std::vector<std::string> DevicesFor(const Unit& unit) const;

 private:
  using Step = std::variant<UnitResult, Refusal, Withdrawn>;
  Step RunByPolicy(const Unit& unit, RunControl& control);
  Step RunEcho(const Unit& unit, const Config& config, RunControl& control);
  Step RunTenant(const Unit& unit, const Config& config, RunControl& control);
  // Runs `request` with `input` and reads the report. A sandboxed unit's result says `strict` only
  // by the facts of its own sandbox (attestation.h); without them the unit is refused.
  Step RunAndRead(RunRequest request, std::string_view input, const Unit& unit, bool capture_raw,
                  RunControl& control);

  // Paths of this host are the owner's business and do not leave it; cleaned and cut for the wire.
  std::string ReasonForCoordinator(std::string reason) const;

  const Parts parts_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_UNIT_PIPELINE_H_
