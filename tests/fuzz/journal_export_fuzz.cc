// SPDX-License-Identifier: AGPL-3.0-only
// An export of the journal, which comes from somebody else. Properties: a fault is in the report
// with its place inside the file; what is good is exported again to an export of the same tree.
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "common/base/unique_fd.h"
#include "common/files/files.h"
#include "common/journal/audit.h"
#include "common/journal/export.h"
#include "tests/fuzz/fuzz.h"

namespace auspex {
namespace {

// A file of this process, written anew for each input, that goes away at the end.
class File {
 public:
  File() : fd_(::mkstemp(path_.data())) { FUZZ_CHECK(fd_.valid()); }
  ~File() { ::unlink(path_.c_str()); }
  const std::string& path() const { return path_; }
  void Write(std::string_view octets) {
    FUZZ_CHECK(::ftruncate(fd_.get(), 0) == 0 && ::lseek(fd_.get(), 0, SEEK_SET) == 0);
    FUZZ_CHECK(WriteAll(fd_.get(), octets, path_).ok());
  }

 private:
  std::string path_ = "/tmp/auspex-fuzz-XXXXXX";
  UniqueFd fd_;
};

void Try(std::string_view octets) {
  static File file, again;
  file.Write(octets);
  const auto archive = OpenJournalExport(file.path());
  const auto report = AuditJournal(*archive, {});
  FUZZ_CHECK(report.ok());
  if (report->fault) {
    FUZZ_CHECK(report->fault->offset <= octets.size() && !report->fault->cause.empty());
    return;
  }
  std::string lines;
  const auto summary = ExportJournal(*archive, {}, [&](std::string_view line) {
    lines += line;
    return absl::OkStatus();
  });
  FUZZ_CHECK(summary.ok() || absl::IsOutOfRange(summary.status()));
  if (!summary.ok()) return;
  again.Write(lines);
  const auto second = AuditJournal(*OpenJournalExport(again.path()), {});
  FUZZ_CHECK(second.ok() && !second->fault);
  FUZZ_CHECK(second->root == report->root && second->last == report->last);
}

}  // namespace
}  // namespace auspex

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auspex::Try(auspex::fuzz::Text(data, size));
  return 0;
}
