// SPDX-License-Identifier: AGPL-3.0-only
// The body of a result submission, and the octets that its signature covers, rebuilt from the
// parsed body alone (coordinator 8.2). Pure functions, any thread.
#ifndef AUSPEX_COORDD_RESULT_BODY_H_
#define AUSPEX_COORDD_RESULT_BODY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "common/json/value.h"
#include "coordd/body_reader.h"

namespace auspex::coordd {

struct ResultBody {
  std::string unit_id, worker_pubkey, worker_signature;
  std::string completed_at;  // as this coordinator prints it again
  int64_t completed_micros = 0;
  int64_t exit_code = 0;
  JsonValue payload;
  std::optional<std::string> assignment_id, ran_under, raw_response, raw_signature;
  int64_t schema_version = 0;  // absent = 0
  std::map<std::string, std::string> served_weights;
  bool has_served_weights = false;
  JsonArray generation_options;
};

// Takes the members; problems are left in `in`, and the value is only good when in.ok().
ResultBody ReadResultBody(BodyReader& in);

// What worker_signature signs, for any version; above 3 it is built like 3 with its number.
std::string CanonicalResultOctets(const ResultBody& body);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_RESULT_BODY_H_
