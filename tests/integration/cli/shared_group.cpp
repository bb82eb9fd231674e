#include "cli/shared_group.h"

#include "base/error.h"

namespace tidemark::support {

void SharedGroupTest::SetUpTestSuite()
{
    share_group([] {
        must(lab_->init());
        must(lab_->backup("base"));
    });
}

void SharedGroupTest::SetUp()
{
    ASSERT_TRUE(ready_) << "what the cases share could not be made";
}

void SharedGroupTest::share_group(const std::function<void()>& prepare)
{
    ready_ = false;
    lab_ = std::make_unique<GroupLab>();
    prepare();
    ready_ = !HasFatalFailure();
}

ToolRun SharedGroupTest::must(ToolRun run)
{
    if (run.code() != 0) throw base::Error{base::Code::failed, run.text()};
    return run;
}

void SharedGroupTest::back_up_under_load(const Transfers& transfers)
{
    app::Bank load(lab_->bank, lab_->witness);
    load.start();
    lab_->commits(load, transfers.before);
    must(lab_->backup("base"));
    lab_->commits(load, transfers.after);
    load.stop();
}

} // namespace tidemark::support
