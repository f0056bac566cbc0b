// SPDX-License-Identifier: AGPL-3.0-only
// The result-set attestation of coordinator 12.1, version 1: a Merkle root over every unit that has
// a consensus result and a receipt, signed as a COSE_Sign1 statement. The odd node of a level is
// duplicated, as the format asks.
#ifndef AUSPEX_COORDD_ATTESTATION_H_
#define AUSPEX_COORDD_ATTESTATION_H_

#include <string>
#include <vector>

#include "coordd/experiment_store.h"
#include "coordd/services.h"

namespace auspex::coordd {

// One leaf's members.
struct AttestedUnit {
  std::string unit_id, receipt_id, consensus_result_hash, unit_payload_sha256;
  std::string integrity_basis;
};

// Hex of the v1 root over `units`, which must be sorted by unit id. Without units: SHA-256 of the
// one octet 00.
std::string MerkleRootV1(const std::vector<AttestedUnit>& units);

// Makes and stores the attestation of a completed experiment. Called inside a savepoint.
void IssueAttestation(Services& services, const ExperimentRow& experiment, int64_t now);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_ATTESTATION_H_
