// SPDX-License-Identifier: AGPL-3.0-only
// How keyd opens its journal at start, and what it then demands of journal and key together: a key
// at rest was made under this journal, and the newest checkpoint is the key's own. Used once, by
// main.
#ifndef AUSPEX_KEYD_JOURNAL_START_H_
#define AUSPEX_KEYD_JOURNAL_START_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "keyd/journal.h"

namespace auspex::keyd {

struct JournalStart {
  std::string state_dir;
  JournalOptions options;
  int64_t now_micros = 0;
  // Of the key at rest, 64 hex digits; empty when there is none.
  std::string public_key_hex;
};

// DATA_LOSS or FAILED_PRECONDITION naming the file, what is wrong with it and what to do.
absl::StatusOr<std::unique_ptr<Journal>> StartJournal(const JournalStart& start,
                                                      const Journal::Visitor& visit);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_JOURNAL_START_H_
