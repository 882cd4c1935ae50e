//! The cases, one file for each part of the page. A case is named by what it proves and leaves the browser wherever it is.

mod access;
mod admin;
mod clients;
mod cluster;
mod glance;
mod lists;
mod queues;
mod safety;
mod screens;

use anyhow::Result;

use crate::stage::Stage;

/// One case.
pub(crate) type Case = fn(&mut Stage) -> Result<()>;

macro_rules! cases {
    ($($case:path,)*) => { vec![$((stringify!($case), $case as Case)),*] };
}

/// All of them, in the order they run. The last ones stop brokers.
pub(crate) fn all() -> Vec<(&'static str, Case)> {
    cases![
        access::a_wrong_password_is_told_and_the_right_one_opens_the_overview,
        access::a_user_without_a_management_tag_is_told_which_tags_are_needed,
        access::a_session_survives_a_reload_and_ends_with_the_log_out,
        access::a_user_of_the_tag_management_sees_neither_nodes_nor_users,
        access::a_policymaker_may_set_policies_and_a_monitor_may_only_look,
        access::a_password_changed_elsewhere_ends_the_session,
        queues::a_queue_is_added_filled_read_purged_and_deleted_by_clicks,
        queues::a_refusal_is_shown_with_its_reason_and_what_was_typed_stays,
        queues::an_exchange_is_bound_by_a_form_and_drawn_with_its_queue,
        queues::a_message_that_no_queue_takes_is_told_to_be_unrouted,
        queues::bindings_of_a_virtual_host_are_one_picture,
        lists::a_long_list_is_paged_filtered_and_sorted_by_the_server,
        lists::a_bad_regular_expression_is_said_to_be_one,
        lists::empty_lists_explain_themselves,
        glance::a_queue_without_consumers_is_one_click_from_every_page,
        glance::an_alarm_is_seen_on_every_page_and_goes_with_its_cause,
        glance::charts_show_what_was_published_within_seconds,
        glance::samples_of_the_past_come_in_rabbitmqs_shape,
        glance::a_node_shows_what_it_has_left_and_what_it_was,
        clients::a_connection_is_shown_with_its_channel_and_consumer_and_closed_with_a_reason,
        clients::the_list_of_channels_shows_what_each_holds_and_the_channel_what_is_not_committed,
        admin::a_policy_is_set_by_form_shown_at_its_queue_and_deleted,
        admin::an_operator_policy_is_set_by_form_and_shown_beside_the_policy,
        admin::topics_of_a_user_are_restricted_by_form,
        admin::a_user_is_added_gets_permissions_and_logs_in,
        admin::a_virtual_host_is_deleted_only_by_who_types_its_name,
        admin::limits_are_set_and_taken_away,
        admin::what_is_deprecated_and_in_use_is_told,
        admin::the_cluster_gets_a_name_that_every_page_shows,
        admin::definitions_go_out_as_a_file_and_come_back_in,
        safety::names_and_payloads_never_become_markup,
        safety::the_policy_stops_markup_from_text_and_requests_elsewhere,
        safety::another_origin_may_change_nothing,
        safety::files_are_kept_until_they_change,
        safety::the_reference_of_the_api_is_open_to_everybody,
        screens::light_and_dark_are_remembered,
        screens::no_page_is_wider_than_a_phone,
        screens::the_keyboard_alone_reaches_everything,
        screens::what_is_typed_survives_the_next_look_at_the_broker,
        screens::everything_that_can_be_used_has_a_name_and_shows_its_focus,
        screens::a_broker_that_is_gone_is_told_and_found_again,
        cluster::mirrors_that_are_not_in_sync_are_one_click_from_being_synchronised,
        cluster::members_of_a_quorum_queue_come_and_go_by_clicks,
        cluster::what_is_wrong_on_another_node_is_seen_from_here,
        cluster::what_flows_through_another_node_is_in_the_charts_of_this_one,
        cluster::a_synchronisation_shows_how_far_it_has_come,
        cluster::a_lost_majority_is_told_within_seconds_and_until_it_is_back,
        cluster::a_node_that_dies_is_told_and_found_again,
    ]
}
