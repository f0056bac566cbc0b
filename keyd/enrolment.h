// SPDX-License-Identifier: AGPL-3.0-only
// Enrolment: the coordinator and worker id that the key is pinned to, and its file `enrolment.toml`
// in the state folder (four lines of TOML that this reader takes in exactly the form that the
// writer gives). Values are immutable; the functions are safe from any thread as long as one thread
// writes.
#ifndef AUSPEX_KEYD_ENROLMENT_H_
#define AUSPEX_KEYD_ENROLMENT_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/ids/ids.h"
#include "common/wire/base_url.h"

namespace auspex::keyd {

struct Enrolment {
  BaseUrl base_url;
  WorkerId worker_id;
  // Checks both; the message of an error begins with the field's name.
  static absl::StatusOr<Enrolment> Parse(const std::string& untrusted_base_url,
                                         const std::string& untrusted_worker_id);
};

// The enrolment stored at `path` for the key `public_key_hex`; nullopt when there is no file.
// DATA_LOSS when the file is not in the form that StoreEnrolment writes, FAILED_PRECONDITION when
// it belongs to another key.
absl::StatusOr<std::optional<Enrolment>> LoadEnrolment(const std::string& path,
                                                       const std::string& public_key_hex);
// Replaces the file atomically, durable on return.
absl::Status StoreEnrolment(const std::string& path, const std::string& public_key_hex,
                            const Enrolment& enrolment);
// Removes the file, durable on return. OK when there is none.
absl::Status RemoveEnrolment(const std::string& folder, const std::string& path);

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_ENROLMENT_H_
