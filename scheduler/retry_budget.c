/* SPDX-License-Identifier: MIT
 * retry_budget.c - see retry_budget.h. */
#include "scheduler/retry_budget.h"

#include "base/result.h"

void retry_budget_init(struct retry_budget *budget, struct mono_time now)
{
    *budget = (struct retry_budget){RETRY_BUDGET_RESERVE, now.us, now.us};
}

void retry_budget_restore(struct retry_budget *budget, struct mono_time now, int64_t balance)
{
    retry_budget_init(budget, now);
    if (balance < 0)
        balance = 0;
    budget->balance = balance < RETRY_BUDGET_MAX ? balance : RETRY_BUDGET_MAX;
}

static void trickle(struct retry_budget *budget, struct mono_time now)
{
    int64_t ticks = (now.us - budget->trickle_us) / RETRY_BUDGET_TRICKLE_US;
    int64_t room = RETRY_BUDGET_RESERVE - budget->balance;
    int64_t wanted = (room + RETRY_BUDGET_ONE - 1) / RETRY_BUDGET_ONE;

    if (ticks <= 0)
        return;
    budget->trickle_us += ticks * RETRY_BUDGET_TRICKLE_US;
    if (room <= 0)
        return;
    budget->balance =
        ticks >= wanted ? RETRY_BUDGET_RESERVE : budget->balance + ticks * RETRY_BUDGET_ONE;
}

static void melt(struct retry_budget *budget, struct mono_time now)
{
    while (now.us - budget->melt_us >= RETRY_BUDGET_MELT_US) {
        int64_t above = budget->balance - RETRY_BUDGET_RESERVE;

        if (above < 8) { /* nothing left to melt: the rest of the time at once */
            budget->melt_us +=
                (now.us - budget->melt_us) / RETRY_BUDGET_MELT_US * RETRY_BUDGET_MELT_US;
            return;
        }
        budget->balance -= above / 8;
        budget->melt_us += RETRY_BUDGET_MELT_US;
    }
}

void retry_budget_advance(struct retry_budget *budget, struct mono_time now)
{
    trickle(budget, now);
    melt(budget, now);
}

void retry_budget_earn(struct retry_budget *budget, uint32_t percent)
{
    REQUIRE(percent >= 1 && percent <= 100);
    budget->balance += (int64_t)percent * RETRY_BUDGET_ONE / 100;
    if (budget->balance > RETRY_BUDGET_MAX)
        budget->balance = RETRY_BUDGET_MAX;
}

bool retry_budget_has(const struct retry_budget *budget)
{
    return budget->balance >= RETRY_BUDGET_ONE;
}

struct mono_time retry_budget_next(const struct retry_budget *budget)
{
    return mono_add_us((struct mono_time){budget->trickle_us}, RETRY_BUDGET_TRICKLE_US);
}

void retry_budget_spend(struct retry_budget *budget)
{
    REQUIRE(retry_budget_has(budget));
    budget->balance -= RETRY_BUDGET_ONE;
}

void retry_budget_refund(struct retry_budget *budget)
{
    budget->balance += RETRY_BUDGET_ONE;
}
