//! Makes files of invented schools in the real layouts, with the same number of rows and columns as a national monthly file.

use std::fmt::Write as _;

/// The number of schools in a national file.
const SCHOOLS: u32 = 21_969;
/// The lowest URN of these schools.
const FIRST_URN: u32 = 200_000;
/// The local authorities of the schools, by codes that the table of regions contains.
const AUTHORITIES: [u32; 8] = [201, 330, 340, 380, 800, 815, 850, 881];

/// The 70 columns of the layout, in order. Columns that the import does not read contain filler text of a usual length.
const COLUMNS: &str = "Web link,URN,LAESTAB,School name,Ofsted phase,Type of education,School open date,Admissions policy,Sixth form,Designated religious character,Religious ethos,Faith grouping,Ofsted region,Region,Local authority,Parliamentary constituency,Postcode,The income deprivation affecting children index (IDACI) quintile,Total number of pupils,Latest section 8 inspection number since last full inspection,Does the section 8 inspection relate to the URN of the current school?,URN at time of the section 8 inspection,LAESTAB at time of the section 8 inspection,School name at time of the latest section 8 inspection,School type at time of the latest section 8 inspection,Number of section 8 inspections since the last full inspection,Date of latest section 8 inspection,Section 8 inspection publication date,Did the latest section 8 inspection convert to a full inspection?,Section 8 inspection overall outcome,Number of other section 8 inspections since last full inspection,Inspection number of latest full inspection,Inspection type,Inspection type grouping,Event type grouping,Inspection start date,Inspection end date,Publication date,Does the latest full inspection relate to the URN of the current school?,URN at time of latest full inspection,LAESTAB at time of latest full inspection,School name at time of latest full inspection,School type at time of latest full inspection,Overall effectiveness,Category of concern,Quality of education,Behaviour and attitudes,Personal development,Effectiveness of leadership and management,Safeguarding is effective?,Early years provision (where applicable),Sixth form provision (where applicable),Previous full inspection number,Previous inspection start date,Previous inspection end date,Previous publication date,Does the previous full inspection relate to the URN of the current school?,URN at time of previous full inspection,LAESTAB at time of previous full inspection,School name at time of previous full inspection,School type at time of previous full inspection,Previous full inspection overall effectiveness,Previous category of concern,Previous quality of education,Previous behaviour and attitudes,Previous personal development,Previous effectiveness of leadership and management,Previous safeguarding is effective?,Previous early years provision (where applicable),Previous sixth form provision (where applicable)";

/// Group UID of the trust in [`partner`].
pub(crate) const PARTNER: i32 = 10_000;
/// The lowest URN of the academies of that trust. No monthly file has these URNs.
const PARTNER_URN: u32 = 300_000;

/// Makes a monthly file. Every 23rd school has the grade RI now and before; every second school is an academy.
pub(crate) fn month() -> Vec<u8> {
    file(SCHOOLS, |index| {
        let kind = if index.is_multiple_of(2) { "Community School" } else { "Academy Converter" };
        (kind, if index.is_multiple_of(23) { 3 } else { 2 })
    })
}

/// Makes a monthly file of this number of maintained schools, which all have the grade RI now and before.
pub(crate) fn eligible(schools: u32) -> Vec<u8> {
    file(schools, |_| ("Community School", 3))
}

/// Makes a monthly file of this number of schools. `school` takes the index of a school, and returns its type and its grade. The
/// school has this grade in its current judgement and in its previous one.
fn file(schools: u32, school: impl Fn(u32) -> (&'static str, u8)) -> Vec<u8> {
    let mut text = format!("{COLUMNS}\r\n");
    for index in 0..schools {
        let urn = FIRST_URN + index;
        let authority = AUTHORITIES[(index as usize) % AUTHORITIES.len()];
        let laestab = authority * 10_000 + 2_000 + index % 7_000;
        let name = format!("Invented Primary School and Nursery {index}");
        let (kind, grade) = school(index);
        let _ = write!(
            text,
            "Ofsted School Webpage,{urn},{laestab},{name},Primary,{kind},NULL,Not applicable,Does not have a sixth form,\
             Does not apply,Does not apply,Non-faith,West Midlands,West Midlands,Invented,\"Invented, East\",ZZ1 1ZZ,3,312,\
             {number},Yes,{urn},{laestab},{name},{kind},1,05/03/2019,24/03/2019,No,School remains Good,NULL,\
             1{number},S5 Inspection,S5 Inspection,Schools - S5,21/01/2018,22/01/2018,24/02/2018,Yes,{urn},{laestab},{name},{kind},\
             {grade},,{grade},{grade},{grade},{grade},Yes,{grade},9,\
             ITS{number},21/03/2014,22/03/2014,19/04/2014,Yes,{urn},{laestab},{name},{kind},\
             {grade},,9,9,9,{grade},9,8,9\r\n",
            number = 4_000_000 + index
        );
    }
    text.into_bytes()
}

/// Makes a membership file of the register: each academy of [`month`] is in a trust of six.
pub(crate) fn membership() -> Vec<u8> {
    register((1..SCHOOLS).step_by(2).map(|index| (FIRST_URN + index, 10_000 + index / 12)))
}

/// Makes a membership file with one multi-academy trust, [`PARTNER`], of six academies.
pub(crate) fn partner() -> Vec<u8> {
    register((0..6).map(|index| (PARTNER_URN + index, PARTNER.unsigned_abs())))
}

/// Makes a membership file of academies. `academies` contains the URN of each academy and the UID of its multi-academy trust.
fn register(academies: impl Iterator<Item = (u32, u32)>) -> Vec<u8> {
    let mut text =
        "URN,Group UID,Group ID,Group Name,Companies House Number,Group Type (code),Group Type,Closed Date,Open \
                    date,Incorporated on (open date),Group Status (code),Group Status,Joined date,EstablishmentName,\
                    TypeOfEstablishment (code),TypeOfEstablishment (name),PhaseOfEducation (code),PhaseOfEducation \
                    (name),LA (code),LA (name)\r\n"
            .to_owned();
    for (urn, uid) in academies {
        let authority = AUTHORITIES[(urn as usize) % AUTHORITIES.len()];
        let _ = write!(
            text,
            "{urn},{uid},TR{uid},Invented Trust {uid},,6,Multi-academy trust,,31-08-2012,31-08-2012,OPEN,Open,01-09-2015,\
             Invented Primary School and Nursery {urn},34,Academy converter,2,Primary,{authority},Invented\r\n"
        );
    }
    text.into_bytes()
}
