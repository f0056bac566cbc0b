// SPDX-License-Identifier: AGPL-3.0-only
// What becomes of each setting of deploy/systemd's units where a person's own manager (`systemctl --user`) runs the worker: one row a
// setting, with the reason where it is not simply kept. The one place for such decisions; a setting without a row is an error, so that
// whoever adds one to the system's units has to decide.
#ifndef AUSPEX_CLI_SERVICE_DIFFERENCES_H_
#define AUSPEX_CLI_SERVICE_DIFFERENCES_H_

#include <string_view>

namespace auspex::cli {

enum class Fate {
  kKept,
  kLeftOut,   // the manager of a person cannot give it, or it means something else there
  kReplaced,  // by `value`
  kAdded,     // kept, and a further line with `value` behind it
  kOurUnits,  // only the words that name units of the set
  kPlace,     // a path or command line, made anew for this worker
};

struct Difference {
  std::string_view unit;  // the unit that it is about; empty: every unit without a row of its own
  std::string_view key;
  Fate fate = Fate::kKept;
  std::string_view value = {};
  std::string_view reason = {};  // of what is left out, replaced or added
};

// The row for `key` in `unit`; nullptr when nobody has decided.
const Difference* DifferenceFor(std::string_view unit, std::string_view key);

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_SERVICE_DIFFERENCES_H_
