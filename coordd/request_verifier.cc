// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/request_verifier.h"

#include <cstdlib>

#include "common/base/cat.h"
#include "common/base/encoding.h"
#include "common/crypto/ed25519.h"
#include "common/crypto/sha256.h"
#include "common/wire/http_signature.h"
#include "coordd/reply.h"
#include "coordd/signature_input.h"

namespace auspex::coordd {
namespace {

Reply Invalid(std::string_view why) { return Error(401, "invalid_signature", why); }

std::string Upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

// The base of 3.2; nullopt when a component is covered that the profile does not know or whose
// header is absent.
std::optional<std::string> BuildBase(const Request& request, const SignatureInput& input) {
  // A conforming client never sends a query or an escape, for which decoded and raw path would
  // differ.
  if (request.target.find_first_of("?%#") != std::string::npos) return std::nullopt;
  std::string base;
  for (const std::string& component : input.covered) {
    std::optional<std::string> value;
    if (component == "@method") {
      value = Upper(request.method);
    } else if (component == "@path") {
      value = request.target;
    } else if (component == "@authority") {
      value = request.Header("host");
      if (value) value = Lower(*std::move(value));
    } else if (component == "content-digest") {
      value = request.Header("content-digest");
    }
    if (!value) return std::nullopt;
    base += Cat("\"", component, "\": ", *value, "\n");
  }
  return base + Cat("\"@signature-params\": ", input.params);
}

}  // namespace

std::variant<VerifiedSignature, Reply> VerifyRequest(
    const Request& request, int64_t now_micros,
    const std::function<bool(const std::string& keyid)>& key_known) {
  // 1 to 3: the two headers.
  const auto input = ParseSignatureInput(request.Header("signature-input").value_or(""));
  if (!input.ok()) return Invalid(std::string(input.status().message()));
  const auto signature = ParseSignatureValue(request.Header("signature").value_or(""));
  if (!signature.ok()) return Invalid(std::string(signature.status().message()));
  if (input->label != signature->label) return Invalid("the two headers carry different labels");
  // 4
  if (Lower(input->alg) != "ed25519") {
    return Error(401, "unsupported_signature_algorithm", "only ed25519 is supported");
  }
  // 5, 6
  if (!input->Covers("@method") || !input->Covers("@path") || !input->Covers("@authority")) {
    return Invalid("@method, @path and @authority must be covered");
  }
  if (!request.body.empty() && !input->Covers("content-digest")) {
    return Invalid("a request with a body must cover content-digest");
  }
  // 7: a plain compare of the whole value, so that a list of digests or another spelling is
  // refused.
  if (input->Covers("content-digest")) {
    const std::string digest = request.Header("content-digest").value_or("");
    if (!digest.empty() && digest != ContentDigestHeader(Sha256(request.body))) {
      return Invalid("content-digest does not fit the body");
    }
  }
  // 8: fractions of a second count.
  if (input->created > INT64_MAX / 2'000'000 || input->created < INT64_MIN / 2'000'000 ||
      std::llabs(now_micros - input->created * 1'000'000) > kSignatureWindowMicros) {
    return Error(401, "signature_expired", "created is too far from this server's clock",
                 {{"created", input->created}, {"server_time", now_micros / 1'000'000}});
  }
  // 9
  if (!key_known(input->keyid)) return Invalid("unknown key");
  // 10
  const std::optional<std::string> base = BuildBase(request, *input);
  if (!base) return Invalid("a covered component cannot be built");
  // 11
  const std::optional<std::string> key = HexDecode(input->keyid);
  if (!key || key->size() != 32 || !Ed25519Verify(*key, *base, signature->octets)) {
    return Invalid("the signature does not verify");
  }
  return VerifiedSignature{input->keyid, signature->octets, input->created};
}

}  // namespace auspex::coordd
