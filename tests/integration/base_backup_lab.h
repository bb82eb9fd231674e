#pragma once

#include "app/demo/lab_cluster.h"
#include "app/demo/lab_folder.h"
#include "engine/postgres/base_backup.h"
#include "engine/postgres/pq.h"

#include <filesystem>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <set>
#include <string>

namespace tidemark::engine::postgres {

/// One cluster for all cases, with a tablespace, an unlogged table and a prepared transaction.
class BaseBackupTest : public ::testing::TestWithParam<bool> {
protected:
    static void SetUpTestSuite()
    {
        folder_ = new app::LabFolder;
        cluster_ = new app::LabCluster{{.name = "m", .folder = folder_->path()}};
        cluster_->start();
        auto space = folder_->make("space");
        auto sql = connect();
        sql.exec(fmt::format("CREATE TABLESPACE far LOCATION '{}'", space.native()));
        sql.exec("CREATE TABLE big(id int, filler text)");
        sql.exec(
            "INSERT INTO big SELECT i, repeat(md5(i::text), 20) FROM generate_series(1, 60000) i");
        sql.exec("CREATE TABLE distant(id int) TABLESPACE far");
        sql.exec("INSERT INTO distant SELECT generate_series(1, 1000)");
        sql.exec("CREATE UNLOGGED TABLE scratch(id int)");
        sql.exec("INSERT INTO scratch SELECT generate_series(1, 1000)");
        sql.exec("BEGIN; INSERT INTO big VALUES (-1, 'in doubt'); PREPARE TRANSACTION 'doubt-1'");
    }
    static void TearDownTestSuite()
    {
        delete cluster_;
        delete folder_;
    }

    static Connection connect()
    {
        return Connection::open(cluster_->url(), {.settings = {"search_path=public"}});
    }

    static MemberConfig member(bool wire)
    {
        MemberConfig config;
        config.name = "m";
        config.url = cluster_->url();
        if (!wire) config.data_dir = cluster_->data_dir();
        return config;
    }

    static BackupOptions options() { return {.label = "test 'backup'", .workers = 2}; }

    static std::string ask(const std::string& query)
    {
        return std::string(connect().exec(query).get(0, 0));
    }

    static std::filesystem::path relation(const std::string& name)
    {
        return cluster_->data_dir() / ask(fmt::format("SELECT pg_relation_filepath('{}')", name));
    }

    std::set<std::string> names_of_another();

    inline static app::LabFolder* folder_ = nullptr;
    inline static app::LabCluster* cluster_ = nullptr;
};

} // namespace tidemark::engine::postgres
