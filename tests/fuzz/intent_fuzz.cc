// SPDX-License-Identifier: AGPL-3.0-only
// What comes over keyd's two signing sockets, field by field, to the composers. The input: one
// octet that says which kind, then the fields, each ended by octet 0x1e. Properties: what is
// composed for a request is the signature base of its own parts, with no octet in the path that
// could end a line or a segment early and the pinned coordinator as its authority; what is composed
// for a result is canonical JSON that says exactly what was asked.
#include <algorithm>
#include <array>
#include <string>

#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "keyd/enrolment.h"
#include "keyd/request_composer.h"
#include "keyd/result_composer.h"
#include "tests/fuzz/fuzz.h"

namespace auspex::keyd {
namespace {

constexpr char kFieldEnd = 0x1e;
constexpr int64_t kCreated = 1'716'000'000;
const std::string kKey(64, 'a');

// Takes fields off the front of an input; empty ones when it is used up.
class Fields {
 public:
  explicit Fields(std::string_view input) : rest_(input) {}
  std::string Next() {
    const size_t end = std::min(rest_.find(kFieldEnd), rest_.size());
    std::string field(rest_.substr(0, end));
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    return field;
  }
  bool done() const { return rest_.empty(); }

 private:
  std::string_view rest_;
};

const Enrolment& Pin() {
  static const auto* pin =
      new Enrolment(*Enrolment::Parse("https://coordinator.example:8443/base", "worker-1"));
  return *pin;
}

void TryRequest(Intent intent, Fields fields) {
  UntrustedRequest request;
  request.intent = intent;
  request.unit_id = fields.Next();
  request.assignment_id = fields.Next();
  request.result_id = fields.Next();
  request.account_id = fields.Next();
  request.manifest_sha256 = fields.Next();
  request.body_sha256 = fields.Next();
  FUZZ_CHECK(SubjectOfRefusal(request).size() <=
             request.unit_id.size() + request.assignment_id.size() + request.result_id.size() +
                 request.account_id.size() + request.manifest_sha256.size() + 64);
  const auto composed = ComposeRequest(request, Pin(), kKey, kCreated);
  if (!composed.ok()) return;
  const SignedParts& parts = composed->parts;
  FUZZ_CHECK(composed->base == SignatureBase(parts));
  FUZZ_CHECK(parts.authority == "coordinator.example:8443");
  FUZZ_CHECK(parts.keyid == kKey && parts.created == kCreated);
  FUZZ_CHECK(parts.path.starts_with("/base/"));
  FUZZ_CHECK(std::all_of(parts.path.begin(), parts.path.end(),
                         [](char c) { return c > 0x20 && c < 0x7f && c != '#' && c != '\\'; }));
  FUZZ_CHECK(parts.path.find("//") == std::string::npos);
  FUZZ_CHECK(parts.path.find("/../") == std::string::npos && !parts.path.ends_with("/.."));
  // One line a covered component and one for the parameters.
  const auto lines = std::count(composed->base.begin(), composed->base.end(), '\n') + 1;
  FUZZ_CHECK(lines == (parts.content_digest ? 5 : 4));
  FUZZ_CHECK(parts.content_digest.has_value() == (composed->body != Digest32{}) ||
             request.body_sha256 == std::string(32, '\0'));
}

void TryResult(Fields fields) {
  UntrustedResult result;
  result.unit_id = fields.Next();
  result.assignment_id = fields.Next();
  result.completed_at = fields.Next();
  const std::string exit_code = fields.Next();
  for (const char c : exit_code.substr(0, 4)) result.exit_code = result.exit_code * 10 + c - '0';
  const std::string version = fields.Next();
  result.schema_version = version.empty() ? 2 : static_cast<unsigned char>(version[0]) - '0';
  result.ran_under = fields.Next();
  const std::string model = fields.Next();
  const std::string digest = fields.Next();
  if (!model.empty()) result.served_weights[model] = digest;
  result.canonical_payload = fields.Next();
  const auto composed = ComposeResult(result, kKey);
  if (!composed.ok()) {
    FUZZ_CHECK(!absl::IsInternal(composed.status()));
    return;
  }
  const auto value = ReadJson(composed->octets, {.max_octets = composed->octets.size()});
  FUZZ_CHECK(value.ok());
  FUZZ_CHECK(WriteCanonical(*value) == composed->octets);
  FUZZ_CHECK(*value->FindString("unit_id") == result.unit_id);
  FUZZ_CHECK(*value->FindString("completed_at") == result.completed_at);
  FUZZ_CHECK(*value->FindString("worker_pubkey") == kKey);
  FUZZ_CHECK(value->Find("exit_code")->AsInt64() == result.exit_code);
  FUZZ_CHECK(WriteCanonical(*value->Find("payload")) == result.canonical_payload);
  const size_t members = std::array{5, 7, 8}[result.schema_version];
  FUZZ_CHECK(value->as_object()->size() == members);
}

void TryRawText(Fields fields) {
  UntrustedRawText raw;
  raw.unit_id = fields.Next();
  raw.assignment_id = fields.Next();
  raw.raw_sha256 = fields.Next();
  const auto composed = ComposeRawText(raw, kKey);
  if (!composed.ok()) return;
  const auto value = ReadJson(composed->octets);
  FUZZ_CHECK(value.ok() && value->as_object()->size() == 3);
  FUZZ_CHECK(*value->FindString("unit_id") == raw.unit_id);
}

}  // namespace
}  // namespace auspex::keyd

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view input = auspex::fuzz::Text(data, size);
  const auspex::keyd::Fields fields(input.substr(1));
  if (input[0] == 'R') {
    auspex::keyd::TryResult(fields);
  } else if (input[0] == 'T') {
    auspex::keyd::TryRawText(fields);
  } else if (const auto intent = auspex::IntentOf(static_cast<uint8_t>(input[0] - '@'))) {
    auspex::keyd::TryRequest(*intent, fields);
  }
  return 0;
}
