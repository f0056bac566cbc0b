// SPDX-License-Identifier: AGPL-3.0-only
// KeydClient: has results signed by keyd, the only thing this process may ask of it. Safe from any
// thread.
#ifndef AUSPEX_RUNNERD_KEYD_CLIENT_H_
#define AUSPEX_RUNNERD_KEYD_CLIENT_H_

#include <memory>
#include <string>

#include "runnerd/unit_pipeline.h"

namespace auspex::runnerd {

class KeydClient final : public UnitSigner {
 public:
  // `socket`: keyd's result role. Connects when first used.
  explicit KeydClient(const std::string& socket);
  ~KeydClient() override;
  absl::StatusOr<SignedResult> Sign(const Unit& unit, const UnitResult& result,
                                    RunControl& control) override;

 private:
  struct Stub;
  const std::unique_ptr<Stub> stub_;
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_KEYD_CLIENT_H_
