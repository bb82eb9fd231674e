#include "engine/postgres/pq_errors.h"

#include <gtest/gtest.h>

namespace tidemark::engine::postgres {
namespace {

ConnectFailure failure(std::string text)
{
    return {.text = std::move(text),
            .where = "orders-db:5432/postgres as tidemark",
            .user = "tidemark",
            .dbname = "postgres"};
}

TEST(PqErrors, TakesVerboseMessagesApart)
{
    const ServerMessage m = parse_verbose(
        "connection to server on socket \"/tmp/x/.s.PGSQL.5432\" failed: FATAL:  28P01: password "
        "authentication failed for user \"tidemark\"\nLOCATION:  auth_failed, auth.c:326\n");
    EXPECT_EQ(m.sqlstate, "28P01");
    EXPECT_EQ(m.primary, "password authentication failed for user \"tidemark\"");
    EXPECT_EQ(m.routine, "auth_failed");
}

TEST(PqErrors, NamesTheLineThatPgHbaLacks)
{
    ConnectFailure f = failure("FATAL:  28000: no pg_hba.conf entry for replication connection "
                               "from host \"10.1.2.3\", user \"tidemark\", SSL encryption\n"
                               "LOCATION:  ClientAuthentication, auth.c:547\n");
    f.replication = true;
    const SqlError error = connect_error(f);
    EXPECT_EQ(error.code(), base::Code::member_unreachable);
    EXPECT_NE(error.hint().find("hostssl replication \"tidemark\" 10.1.2.3/32 scram-sha-256"),
              std::string::npos)
        << error.hint();
    EXPECT_EQ(hba_line(false, "shop", "t", "::1", false),
              "host \"shop\" \"t\" ::1/128 scram-sha-256");
    EXPECT_EQ(hba_line(true, "shop", "t", "[local]", false), "local replication \"t\" peer");
}

TEST(PqErrors, StartingServersAndFullOnesAreTransient)
{
    EXPECT_TRUE(
        connect_error(failure("FATAL:  57P03: the database system is starting up\n")).transient());
    EXPECT_TRUE(
        connect_error(failure("FATAL:  53300: sorry, too many clients already\n")).transient());
    EXPECT_TRUE(connect_error(failure("connection to server at \"h\" failed: Connection refused\n"))
                    .transient());
    EXPECT_FALSE(
        connect_error(failure("FATAL:  28P01: password authentication failed\n")).transient());
}

TEST(PqErrors, PoolersAreNotReady)
{
    const SqlError error =
        connect_error(failure("FATAL:  08P01: unsupported startup parameter: options\n"));
    EXPECT_EQ(error.code(), base::Code::member_not_ready);
    EXPECT_NE(error.hint().find("pooler"), std::string::npos);
}

TEST(PqErrors, TlsTroubleIsNotCalledARefusedConnection)
{
    const SqlError error = connect_error(
        failure("root certificate file \"/root/.postgresql/root.crt\" does not exist"));
    EXPECT_NE(error.hint().find("sslrootcert"), std::string::npos);
}

TEST(PqErrors, StatementErrorsKeepTheirState)
{
    const SqlError denied = statement_error(
        {.sqlstate = "42501", .primary = "permission denied", .where = "x", .user = "t"});
    EXPECT_EQ(denied.code(), base::Code::member_not_ready);
    EXPECT_EQ(denied.sqlstate(), "42501");
    EXPECT_TRUE(statement_error({.sqlstate = "57P01", .primary = "terminating"}).transient());
}

TEST(PqErrors, AServersFullDiskIsOutOfSpace)
{
    const SqlError full = statement_error(
        {.sqlstate = "53100", .primary = "could not extend file: No space left on device"});
    EXPECT_EQ(full.code(), base::Code::out_of_space);
    EXPECT_EQ(statement_error({.sqlstate = "53200", .primary = "out of memory"}).code(),
              base::Code::failed);
    for (const char* said :
         {"FATAL:  53100: could not extend file \"base/5/1259\": No space left on device\n",
          "FATAL:  XX000: could not write init file: No space left on device\n"}) {
        const SqlError shut = connect_error(failure(said));
        EXPECT_EQ(shut.code(), base::Code::out_of_space) << said;
        EXPECT_NE(std::string(shut.what()).find("No space left on device"), std::string::npos);
    }
    EXPECT_EQ(connect_error(failure("FATAL:  53200: out of memory\n")).code(),
              base::Code::member_unreachable);
}

} // namespace
} // namespace tidemark::engine::postgres
