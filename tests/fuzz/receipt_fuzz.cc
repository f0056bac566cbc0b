// SPDX-License-Identifier: AGPL-3.0-only
// Properties: accepted CBOR is the one spelling of its value; the statement and the body, which lie
// behind a signature that a fuzzer cannot make, are read without harm; a body that is accepted
// writes back as it was up to its tags.
#include "common/receipt/body.h"
#include "common/receipt/cbor.h"
#include "common/receipt/receipt.h"
#include "common/receipt/statement.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view octets = auspex::fuzz::Text(data, size);
  if (const auto value = auspex::DecodeCbor(octets); value.ok()) {
    FUZZ_CHECK(value->Encode() == octets);
  }
  (void)auspex::ParseReceipt(octets);
  (void)auspex::ReadStatement(octets);
  if (const auto receipt = auspex::ReadReceiptBody(octets); receipt.ok()) {
    const std::string written = auspex::EncodeReceiptBody(*receipt);
    const auto again = auspex::ReadReceiptBody(written);
    FUZZ_CHECK(again.ok());
    FUZZ_CHECK(auspex::EncodeReceiptBody(*again) == written);
  }
  return 0;
}
