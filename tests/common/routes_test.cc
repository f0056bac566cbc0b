// SPDX-License-Identifier: AGPL-3.0-only
// Every route of wire protocol section 5, letter for letter.
#include "common/wire/routes.h"

#include <gtest/gtest.h>

#include "common/base/cat.h"

namespace auspex {
namespace {

std::string Line(const Route& route) { return Cat(route.method, " ", route.path); }

TEST(Routes, AreThoseOfSection5) {
  const WorkerId w = WorkerId::Parse("wkr-Zk3v_Q9-aB1x").value();
  const UnitId u = UnitId::Parse("u-1").value();
  const AccountId a = AccountId::Parse("acct-Q1w2E3r4T5y6").value();
  const std::string base = "/api/v0/workers/wkr-Zk3v_Q9-aB1x";
  EXPECT_EQ(Line(routes::Enroll()), "POST /api/v0/workers/enroll");
  EXPECT_EQ(Line(routes::Heartbeat(w)), Cat("POST ", base, "/heartbeat"));
  EXPECT_EQ(Line(routes::Poll(w)), Cat("GET ", base, "/assignments"));
  EXPECT_EQ(Line(routes::Refuse(w, u)), Cat("POST ", base, "/assignments/u-1/refuse"));
  EXPECT_EQ(Line(routes::SubmitResult(w, u)), Cat("POST ", base, "/assignments/u-1/result"));
  EXPECT_EQ(Line(routes::CanonicalReceipt(w, ResultId::Parse("res-AbCd-_012").value())),
            Cat("GET ", base, "/results/res-AbCd-_012/canonical-receipt"));
  EXPECT_EQ(Line(routes::OauthExchange()), "POST /api/v0/accounts/oauth/exchange");
  EXPECT_EQ(Line(routes::Upgrade(w)), Cat("POST ", base, "/upgrade"));
  EXPECT_EQ(Line(routes::Retire(w)), Cat("POST ", base, "/actions/retire"));
  EXPECT_EQ(Line(routes::Unbind(w)), Cat("POST ", base, "/actions/unbind"));
  EXPECT_EQ(Line(routes::GetAttribution(a)), "GET /api/v0/accounts/acct-Q1w2E3r4T5y6/attribution");
  EXPECT_EQ(Line(routes::PutAttribution(a)), "PUT /api/v0/accounts/acct-Q1w2E3r4T5y6/attribution");
  EXPECT_EQ(Line(routes::PackageByManifest(Sha256Hex::Parse(std::string(64, 'A')).value())),
            Cat("GET /api/v0/packages/by-manifest/", std::string(64, 'a')));
  EXPECT_EQ(Line(routes::Prestage(w)), Cat("GET ", base, "/prestage"));
  EXPECT_EQ(Line(routes::SupportedModels()), "GET /api/v0/models/supported");
  EXPECT_EQ(Line(routes::ServeRecovered(w)), Cat("POST ", base, "/serve-recovered"));
}

}  // namespace
}  // namespace auspex
