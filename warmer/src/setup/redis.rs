//! `warmer setup redis`: the settings of a cache, and the users of warmer and gateway.

mod files;
mod report;
pub mod settings;

use std::path::PathBuf;

use shared::cache::{
    AclRole, Administrator, CacheError, CacheErrorKind, RedisSettings, ServerFacts, ServerVersion, acl_rules,
    acl_user_words,
};

use super::password::Password;
use super::{Aim, SetupError, Users};
pub use report::{Report, Server, SettingRow, State, UserRow};
use settings::{Profile, Wanted, wanted};

/// Keys of each database that are looked at for others than Hotshelf's: seconds at most.
const LOOKED_AT: u64 = 200_000;
/// Of those, named in what is told.
const NAMED: usize = 5;
/// Least memory that is worth having.
const LEAST_MEMORY: u64 = 16 << 20;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is to become of it.
    pub aim: Aim,
    /// How many users there will be; `None`: up to 50, and more memory than they need stays.
    pub profile: Option<Profile>,
    /// Memory of Redis in bytes, instead of the profile's.
    pub maxmemory: Option<u64>,
    /// Names of the users.
    pub users: Users,
    /// Folder of their passwords.
    pub passwords: PathBuf,
    /// Also where other programs keep keys in this Redis.
    pub despite_foreign_keys: bool,
}

/// A user that is to be there.
#[derive(Debug)]
struct Login {
    name: String,
    role: AclRole,
    password: Password,
}

/// Looks at a server, and does what is asked for. What could not be done is in the report.
///
/// # Errors
/// If the server cannot be reached, is none for this, or does not tell what is to be known; nothing was changed then.
pub async fn run(
    settings: &RedisSettings,
    prefix: &str,
    budget: u64,
    options: &Options,
) -> Result<Report, SetupError> {
    options.users.check()?;
    if let Some(maxmemory) = options.maxmemory.filter(|maxmemory| *maxmemory < LEAST_MEMORY) {
        return Err(SetupError::refused(
            format!("--maxmemory of {maxmemory} bytes is too little"),
            "give 16MiB at least; 1GiB is right for 100 stores",
        ));
    }
    let mut maxmemory = options.maxmemory.unwrap_or_else(|| options.profile.unwrap_or_default().maxmemory());
    let login = |name: &str, role, file| {
        Password::look(&options.passwords, file).map(|password| Login {
            name: name.to_owned(),
            role,
            password,
        })
    };
    let mut logins = [
        login(&options.users.warmer, AclRole::Warmer, "redis-warmer")?,
        login(&options.users.gateway, AclRole::Gateway, "redis-gateway")?,
    ];
    let mut report = Report { prefix: prefix.to_owned(), ..Report::default() };
    report.warnings.extend(logins.iter().filter_map(|login| login.password.warning()));
    let is_write = matches!(options.aim, Aim::Write(_));
    let mut administrator = match Administrator::connect(settings).await {
        Ok(administrator) => Some(administrator),
        // Files can be written for a server that does not run yet.
        Err(error) if is_write && error.kind() == CacheErrorKind::Unreachable => {
            report.warnings.push(format!("{error}; the files are for a new server, of Redis 7.0 or later"));
            None
        }
        Err(error) => return Err(error.into()),
    };
    let mut others = Vec::new();
    let mut version = ServerVersion::DRY_RUN;
    if let Some(administrator) = &mut administrator {
        let facts = administrator.server().await?;
        check_server(&facts)?;
        version = facts.version;
        if options.maxmemory.is_none() && options.profile.is_none() {
            // Somebody gave it more, and would not want it taken away without being asked.
            maxmemory = maxmemory.max(facts.max_memory);
        }
        look_for_others(administrator, prefix, &facts, options, &mut report).await?;
        match administrator.users().await {
            Ok(lines) => others = lines,
            Err(error) if is_write && is_denied(&error) => report.warnings.push(error.to_string()),
            Err(error) => return Err(error.into()),
        }
        report.server = Some(Server::new(&facts));
        if facts.used_memory > maxmemory {
            report.warnings.push(format!(
                "{} bytes are in use, more than maxmemory will be ({maxmemory}): entries are evicted at once",
                facts.used_memory
            ));
        }
    }
    if maxmemory < budget {
        report.warnings.push(format!(
            "maxmemory ({maxmemory} bytes) is less than warm.budget ({budget} bytes), which is only a part of what is kept; lower \
             warm.budget or give more"
        ));
    }
    let wanted = wanted(maxmemory, version);
    look_at_settings(administrator.as_mut(), &wanted, is_write, &mut report).await?;
    look_at_users(administrator.as_mut(), &logins, prefix, version, is_write, &mut report).await?;
    if let Some(administrator) = &mut administrator {
        look_at_default(administrator, &mut report).await;
    }
    if report.problem.is_some() {
        return Ok(report);
    }

    match (&options.aim, &mut administrator) {
        (Aim::Apply, Some(administrator)) => apply(administrator, &wanted, &mut logins, &mut report).await,
        (Aim::Write(folder), _) => files::write(folder, &wanted, &mut logins, &others, &mut report)?,
        _ => {}
    }
    Ok(report)
}

fn is_denied(error: &CacheError) -> bool {
    error.kind() == CacheErrorKind::Denied
}

/// Whether it is a server that Hotshelf can use.
fn check_server(facts: &ServerFacts) -> Result<(), SetupError> {
    let (what, remedy) = if facts.version < ServerVersion::OLDEST {
        (format!("redis {} is too old", facts.version), "install Redis 6.0 or later, best 7.0")
    } else if facts.mode == "cluster" {
        (
            "this redis is one of a cluster, where a store's entries could not be written in one transaction"
                .to_owned(),
            "give the address of a single server (cluster-enabled no)",
        )
    } else if facts.mode == "sentinel" {
        (
            "this is a sentinel, which holds no data".to_owned(),
            "give the address of the redis that it watches: redis-cli -p PORT SENTINEL MASTERS names it",
        )
    } else if facts.role != "master" {
        (
            "this redis is a replica, which takes no writes".to_owned(),
            "give the address of its primary (redis-cli INFO replication names it: master_host), and set up each by itself",
        )
    } else {
        return Ok(());
    };
    Err(SetupError::refused(what, remedy))
}

/// Keys of other programs would be evicted like ours, and lost with a restart.
async fn look_for_others(
    administrator: &mut Administrator,
    prefix: &str,
    facts: &ServerFacts,
    options: &Options,
    report: &mut Report,
) -> Result<(), SetupError> {
    let foreign = administrator.foreign_keys(prefix, &facts.databases, LOOKED_AT, NAMED).await?;
    if foreign.seen == 0 {
        // Fewer than there were may also be because some expired meanwhile.
        if foreign.looked_at >= LOOKED_AT && foreign.looked_at < foreign.keys {
            report.warnings.push(format!(
                "only {} of {} keys were looked at; all of them begin with {prefix:?}",
                foreign.looked_at, foreign.keys
            ));
        }
        return Ok(());
    }
    let names: Vec<String> =
        foreign.some.iter().map(|(database, name)| format!("{name:?} in database {database}")).collect();
    let what = format!(
        "this redis holds keys that do not begin with {prefix:?}: {} of {} looked at, such as {}; they could be evicted at any \
         time, and would not outlive a restart",
        foreign.seen,
        foreign.looked_at,
        names.join(", ")
    );
    if options.despite_foreign_keys {
        report.warnings.push(what);
    } else {
        report.problem = Some(format!(
            "{what}. Nothing was changed; give Hotshelf a redis of its own, or --despite-foreign-keys if nobody needs them"
        ));
    }
    Ok(())
}

async fn look_at_settings(
    mut administrator: Option<&mut Administrator>,
    wanted: &[Wanted],
    is_write: bool,
    report: &mut Report,
) -> Result<(), SetupError> {
    for setting in wanted {
        let mut now = None;
        if let Some(asked) = &mut administrator {
            match asked.setting(setting.name).await {
                Ok(Some(found)) => now = Some(found),
                Ok(None) => report.warnings.push(format!("this server has no setting {}", setting.name)),
                Err(error) if is_write && is_denied(&error) => {
                    report.warnings.push(error.to_string());
                    administrator = None;
                }
                Err(error) => return Err(error.into()),
            }
        }
        report.settings.push(SettingRow {
            name: setting.name,
            now: now.as_deref().map(|now| setting.shown(now)),
            wanted: setting.shown(&setting.value),
            why: setting.why,
            // What a server does not have cannot be set, either.
            changes: now.map_or(administrator.is_none(), |now| !setting.is(&now)),
        });
    }
    Ok(())
}

async fn look_at_users(
    mut administrator: Option<&mut Administrator>,
    logins: &[Login; 2],
    prefix: &str,
    version: ServerVersion,
    is_write: bool,
    report: &mut Report,
) -> Result<(), SetupError> {
    if let Some(administrator) = &mut administrator
        && let Ok(own) = administrator.whoami().await
        && logins.iter().any(|login| login.name == own)
    {
        return Err(SetupError::refused(
            format!("this is the user {own} itself, which would be given other rights"),
            "give the address of an administrator (--redis)",
        ));
    }
    for login in logins {
        let rules = acl_rules(login.role, prefix, version);
        let mut state = State::Unknown;
        if let Some(asked) = &mut administrator {
            match asked.user(&login.name).await {
                Ok(None) => state = State::Missing,
                Ok(Some(user)) => {
                    let categories = asked.categories(&user).await?;
                    // Without a file, one is made, and then it is another password.
                    let password = login.password.text().unwrap_or_default();
                    let differs = user.differs(&rules, password, &categories);
                    state = if differs.is_empty() { State::There } else { State::Differs(differs) };
                }
                Err(error) if is_write && is_denied(&error) => administrator = None,
                Err(error) => return Err(error.into()),
            }
        }
        report.users.push(UserRow {
            name: login.name.clone(),
            changes: state != State::There,
            now: state,
            rules: rules.join(" "),
            password_file: login.password.path.clone(),
            has_password: login.password.text().is_some(),
        });
    }
    Ok(())
}

/// What may surprise later about the user that everybody is.
async fn look_at_default(administrator: &mut Administrator, report: &mut Report) {
    // Whoever may not ask is no worse off.
    let Ok(Some(user)) = administrator.user("default").await else { return };
    if !user.has("on") || !user.has("nopass") {
        return;
    }
    let mut setting = async |name| administrator.setting(name).await.ok().flatten().unwrap_or_default();
    let (bind, protected) = (setting("bind").await, setting("protected-mode").await);
    let addresses = || bind.split_whitespace().map(|address| address.trim_start_matches('-'));
    let is_local = |address: &str| address.starts_with("127.") || address == "::1";
    if addresses().next().is_some() && addresses().all(is_local) {
        return;
    }
    report.warnings.push(if protected == "yes" {
        "redis's user \"default\" has no password, so protected-mode refuses everybody from other machines, the users below \
         included; for gateways there, give it one: ACL SETUSER default resetpass '>PASSWORD'"
            .to_owned()
    } else {
        "redis's user \"default\" has no password and may do everything, from every machine that reaches this one; give it a \
         password (ACL SETUSER default resetpass '>PASSWORD'), or turn it off when all programs have users"
            .to_owned()
    });
}

/// Does it; what cannot be done is the report's problem, beside what was done before it.
async fn apply(
    administrator: &mut Administrator,
    wanted: &[Wanted],
    logins: &mut [Login; 2],
    report: &mut Report,
) {
    if report.changes() == 0 {
        return;
    }
    let mut done = Vec::new();
    if let Err(error) = change(administrator, wanted, logins, report, &mut done).await {
        let before = if done.is_empty() { "nothing was changed" } else { "what is told above was done" };
        report.problem = Some(format!("{error} ({before})"));
    }
    report.done = done;
}

async fn change(
    administrator: &mut Administrator,
    wanted: &[Wanted],
    logins: &mut [Login; 2],
    report: &Report,
    done: &mut Vec<String>,
) -> Result<(), SetupError> {
    let acl_file = administrator.setting("aclfile").await?.filter(|file| !file.is_empty());
    make_passwords(logins, done)?;
    let mut settings_changed = false;
    for (setting, row) in wanted.iter().zip(&report.settings) {
        if row.changes {
            administrator.set(setting.name, &setting.value).await?;
            settings_changed = true;
            done.push(format!("set {} to {}", row.name, row.wanted));
        }
    }
    let mut users_changed = false;
    for (login, row) in logins.iter().zip(&report.users) {
        if row.changes {
            let rules: Vec<String> = row.rules.split(' ').map(str::to_owned).collect();
            let password = login.password.text().unwrap_or_default();
            administrator.set_user(&login.name, &acl_user_words(&rules, password)).await?;
            users_changed = true;
            let made = if row.now == State::Missing { "made the user" } else { "changed the user" };
            done.push(format!("{made} {}", row.name));
        }
    }
    let config_file = report.server.as_ref().and_then(|server| server.config_file.as_ref());
    if let (true, Some(file)) = (users_changed, &acl_file) {
        administrator.save_users().await.map_err(|error| not_kept(&error, file, "ACL SAVE"))?;
        done.push(format!("wrote the users to {file} (ACL SAVE)"));
    }
    match config_file {
        // The file of settings holds the users where there is none of users.
        Some(file) if settings_changed || (users_changed && acl_file.is_none()) => {
            administrator.rewrite().await.map_err(|error| not_kept(&error, file, "CONFIG REWRITE"))?;
            done.push(format!("wrote the settings to {file} (CONFIG REWRITE)"));
        }
        Some(_) => {}
        None => done.push(format!(
            "NOT kept: this redis was started without a file of settings, and forgets {} with its next restart; `warmer setup redis \
             --write DIR` writes files to start it with",
            if acl_file.is_some() { "the settings" } else { "this" }
        )),
    }
    Ok(())
}

/// It is all set, so a second run would find nothing to do.
fn not_kept(error: &CacheError, file: &str, command: &str) -> SetupError {
    SetupError::refused(
        format!("{error}: what was set counts until redis restarts, since it cannot write {file}"),
        format!(
            "let the user that redis runs as write this file and its folder, and run: redis-cli {command}"
        ),
    )
}

fn make_passwords(logins: &mut [Login; 2], done: &mut Vec<String>) -> Result<(), SetupError> {
    for login in logins {
        if login.password.make()? {
            done.push(format!("made a password for {} in {}", login.name, login.password.path.display()));
        }
    }
    Ok(())
}
