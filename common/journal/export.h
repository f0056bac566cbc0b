// SPDX-License-Identifier: AGPL-3.0-only
// The journal as one file of JSON lines, for an auditor who has neither keyd nor its folder
// (docs/formats/journal-export.md): a head, one line a record with every field, one a
// checkpoint, and an end. It is verifiable as the folder is: the leaves of the tree are computed
// from the fields. Safe from any thread, one at a time for one archive.
#ifndef AUSPEX_COMMON_JOURNAL_EXPORT_H_
#define AUSPEX_COMMON_JOURNAL_EXPORT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/journal/archive.h"
#include "common/json/value.h"

namespace auspex {

struct ExportRange {
  uint64_t first = 1;            // sequence numbers, both included
  uint64_t last = ~uint64_t{0};  // more than there are: up to the end
};

struct ExportSummary {
  uint64_t first = 0, records = 0, checkpoints = 0;
};

// Takes one line, with its line feed.
using LineSink = std::function<absl::Status(std::string_view line)>;

// Reads `archive` and hands out the lines. OUT_OF_RANGE when no record lies in the range; errors of
// the archive (DATA_LOSS with the place) and of the sink as they are.
absl::StatusOr<ExportSummary> ExportJournal(const JournalArchive& archive, const ExportRange& range,
                                            const LineSink& sink);

// Every field of `record` under its name; texts that are no UTF-8 as hex under NAME_hex.
JsonObject RecordToJson(const JournalRecord& record);

// An export at `path`. Opens nothing yet; reads one line at a time.
std::unique_ptr<JournalArchive> OpenJournalExport(std::string path);

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_EXPORT_H_
