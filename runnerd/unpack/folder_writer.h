// SPDX-License-Identifier: AGPL-3.0-only
// FolderWriter: writes a package's files into an empty folder, whoever names them: every path is
// checked, names reach the file system one component at a time, relative to descriptors, without
// following links, and no more is written than the limits allow. Files get mode 0444, folders 0755 less the umask.
// A name that comes twice is unsafe, but for manifest.json and manifest.json.sig at the top, of which
// the last counts (wire protocol: the coordinator appends them). One thread.
#ifndef AUSPEX_RUNNERD_UNPACK_FOLDER_WRITER_H_
#define AUSPEX_RUNNERD_UNPACK_FOLDER_WRITER_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/unique_fd.h"
#include "runnerd/unpack/unpack.h"

namespace auspex::runnerd {

class FolderWriter : public MemberSink {
 public:
  // `target` is lent.
  FolderWriter(int target, const UnpackLimits& limits) : target_(target), limits_(limits) {}

  bool Begin(std::string_view untrusted_path, uint64_t octets) override;
  bool Write(std::string_view piece) override;
  bool End() override;
  const UnpackResult& result() const override { return result_; }

 private:
  bool Stop(UnpackResult::Outcome outcome, std::string why);
  bool Unsafe(std::string_view why);
  bool HostFailed(std::string_view what);
  bool OpenParent(const std::vector<std::string>& parts);

  const int target_;
  const UnpackLimits limits_;
  UnpackResult result_;  // members: files and folders; octets: as announced
  std::string path_;
  UniqueFd parent_, file_;
  uint64_t left_ = 0;  // of the file that is open
};

}  // namespace auspex::runnerd

#endif  // AUSPEX_RUNNERD_UNPACK_FOLDER_WRITER_H_
